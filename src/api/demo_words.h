/* The words of the built-in shop: themes that people care about, and styles in which things are made. All written for it. */
#ifndef CLLM_API_DEMO_WORDS_H
#define CLLM_API_DEMO_WORDS_H

enum { DEMO_THEMES = 12, DEMO_STYLES = 3, DEMO_WORDS = 10 };

typedef struct demo_theme {
    const char *name;     /* the category */
    const char *activity; /* "I spend my weekends …" */
    const char *place;
    const char *brands[2];
    const char *things[DEMO_WORDS]; /* what is sold, singular */
    const char *topics[DEMO_WORDS]; /* what its reviews talk about */
} demo_theme;

typedef struct demo_style {
    const char *name; /* an adjective of titles */
    const char *wish; /* "I look for things that are …" */
    const char *praise[DEMO_WORDS];
} demo_style;

static const demo_theme DEMO_THEME[DEMO_THEMES] = {
    {"Camping", "sleeping under the stars", "the hills", {"Northfell", "Larchwood"},
     {"tent", "sleeping bag", "lantern", "camp stove", "hammock", "water filter", "cooking pot", "ground mat", "rain tarp", "head torch"},
     {"night", "rain", "campfire", "forest", "ridge", "stream", "tarp lines", "pegs", "dew", "summit"}},
    {"Baking", "kneading dough", "the kitchen", {"Crumb & Co", "Hearthstone"},
     {"bread tin", "dough scraper", "proofing basket", "rolling pin", "cake ring", "oven stone", "whisk", "flour sieve", "pie dish", "pastry brush"},
     {"sourdough", "crust", "flour", "butter", "oven", "loaf", "sponge", "yeast", "icing", "crumbs"}},
    {"Cycling", "riding my bike", "the road", {"Velotide", "Spokehouse"},
     {"saddle", "bell", "pannier", "chain oil", "tyre pump", "helmet", "bottle cage", "mudguard", "bike light", "lock"},
     {"commute", "climb", "gears", "puncture", "tarmac", "headwind", "brakes", "mileage", "traffic", "spokes"}},
    {"Gardening", "digging in the garden", "the allotment", {"Greenrow", "Mossgate"},
     {"trowel", "seed tray", "pruning shears", "watering can", "compost bin", "garden fork", "plant label", "kneeling pad", "cold frame", "hose"},
     {"tomatoes", "roses", "soil", "seedlings", "weeds", "harvest", "compost", "hedge", "slugs", "spring"}},
    {"Music", "playing with my band", "the rehearsal room", {"Tonefield", "Brass Lane"},
     {"guitar strap", "capo", "drum sticks", "microphone", "cable", "tuner", "music stand", "effects pedal", "string set", "metronome"},
     {"chords", "gig", "tone", "sustain", "bass line", "volume", "stage", "solo", "recording", "amplifier"}},
    {"Painting", "painting in watercolour", "the studio", {"Ochre House", "Palette Nine"},
     {"brush", "easel", "sketchbook", "canvas", "paint set", "palette", "charcoal stick", "varnish", "pencil case", "masking tape"},
     {"pigment", "wash", "portrait", "landscape", "paper grain", "colours", "shading", "blending", "gallery", "glaze"}},
    {"Astronomy", "watching the planets", "the observatory", {"Lumen Sky", "Far Orbit"},
     {"telescope", "eyepiece", "star chart", "tripod", "red lamp", "solar filter", "finder scope", "lens cloth", "camera adapter", "dew shield"},
     {"Saturn", "nebula", "craters", "seeing", "mirror", "eclipse", "galaxies", "alignment", "meteors", "moonlight"}},
    {"Knitting", "knitting by the window", "the armchair", {"Woolmere", "Stitch Barn"},
     {"needle set", "wool yarn", "stitch counter", "crochet hook", "pattern book", "yarn bowl", "row marker", "project bag", "darning kit", "blocking mat"},
     {"stitches", "cardigan", "socks", "gauge", "cables", "alpaca", "scarf", "purl", "fringe", "mittens"}},
    {"Fishing", "waiting for a bite", "the river", {"Stillwater", "Reedline"},
     {"rod", "reel", "landing net", "lure box", "float set", "line spool", "wader", "bait bucket", "folding chair", "hook remover"},
     {"trout", "pike", "cast", "bank", "current", "bait", "perch", "dawn", "tackle", "carp"}},
    {"Coffee", "pulling espresso", "the counter", {"Roastery Row", "Black Kettle"},
     {"grinder", "milk jug", "tamper", "pour over cone", "kettle", "filter papers", "espresso cup", "coffee scale", "knock box", "cold brew jar"},
     {"beans", "crema", "roast", "aroma", "foam", "bloom", "extraction", "acidity", "morning", "brew"}},
    {"Photography", "taking pictures", "the darkroom", {"Shutterbay", "Aperture Works"},
     {"camera strap", "lens", "flash", "light meter", "memory card", "camera bag", "remote trigger", "backdrop", "film roll", "photo album"},
     {"exposure", "focus", "bokeh", "sharpness", "shadows", "wedding", "wildlife", "aperture", "prints", "sunset"}},
    {"Climbing", "climbing on rock", "the crag", {"Granite Edge", "Belay Bros"},
     {"harness", "rope", "chalk bag", "carabiner", "crash pad", "belay device", "sling", "climbing shoe", "finger board", "guide book"},
     {"grip", "route", "boulder", "overhang", "anchor", "chalk", "fall", "granite", "pitch", "crux"}},
};

static const demo_style DEMO_STYLE[DEMO_STYLES] = {
    {"Featherlight", "light and easy to carry",
     {"weighs nothing", "slips into a pocket", "folds up small", "easy to carry all day", "so light", "compact", "packs away neatly", "barely noticed the weight",
      "portable", "perfect for travel"}},
    {"Ironside", "made to last a lifetime",
     {"built like a tank", "will outlive me", "solid steel", "survived every drop", "so sturdy", "heavy duty", "no scratch after a year", "indestructible",
      "robust", "thick and strong"}},
    {"Heritage", "beautiful and made by hand",
     {"lovely to look at", "made with care", "a fine old design", "warm wood and brass", "so elegant", "beautiful finish", "a joy to hold", "handmade charm",
      "classic", "looks better with age"}},
};

static const char *const DEMO_FIRST_NAMES[] = {"Ada", "Bruno", "Clara", "Dario", "Edda", "Felix", "Greta", "Hugo", "Ines", "Jonas",
                                               "Kira", "Leon", "Mira", "Nico", "Olga", "Paul", "Rosa", "Sami", "Tilda", "Yara"};

#endif
