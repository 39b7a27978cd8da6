#!/usr/bin/env python3
"""Writes the fixtures in tests/formats/data with the libraries that define the formats. All values are made up here.
    pip install numpy==2.4.6 scipy==1.17.1 safetensors==0.8.0
"""
import pathlib
import shutil
import sys

import numpy as np
import scipy.sparse as sp
from safetensors.numpy import load_file, save_file

DATA = pathlib.Path(__file__).parent / "data"


def matrix():
    """3 × 5; row 1 is empty; row 2 has its columns out of order and an explicit zero."""
    return sp.csr_matrix((np.array([1, 2.5, -3, 0, 4], np.float32), np.array([0, 4, 3, 2, 1], np.int32),
                          np.array([0, 2, 2, 5], np.int32)), shape=(3, 5))


def main():
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir()
    m = matrix()
    sp.save_npz(DATA / "csr.npz", m)
    sp.save_npz(DATA / "csr_stored.npz", m, compressed=False)
    sp.save_npz(DATA / "csc.npz", m.tocsc())
    # As scipy writes huge matrices (64-bit indices), with another type of values and the format as text.
    np.savez(DATA / "csr_wide.npz", indices=m.indices.astype(np.int64), indptr=m.indptr.astype(np.int64),
             data=np.array([True, True, True, False, True]), shape=np.array(m.shape, np.int32), format="csr")
    np.savez_compressed(
        DATA / "arrays.npz", b1=np.array([True, False]), i1=np.array([-128, 127], np.int8), u1=np.array([0, 255], np.uint8),
        i2=np.array([-32768, 32767], np.int16), u2=np.array([65535], np.uint16), i4=np.array([[1, -2], [3, 4]], np.int32),
        u4=np.array([4294967295], np.uint32), i8=np.array([-(2**63), 2**63 - 1]), u8=np.array([2**64 - 1], np.uint64),
        f4=np.array([[1.5, np.nan, -np.inf]], np.float32), f8=np.array(0.1), empty=np.zeros((0, 7), np.float32),
        text=np.array(["kettle", "café", "lamp 😀"]), bytes=np.array([b"ab", b"c"]),
        fortran=np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)), big=np.array([1], ">i4"),
        half=np.array([1], np.float16), pickled=np.array([{"a": 1}], object), fields=np.array([(1, 2.0)], "i4,f8"))
    save_file({"weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 4, "half": np.array([1, -2.5, 65504, 6e-8], np.float16),
               "double": np.array([0.1]), "ids": np.array([1, -1]), "flag": np.array([True]), "none": np.zeros((0, 3), np.float32)},
              DATA / "hf.safetensors", {"format": "np", "note": "café"})


def check(folder):
    """Reads back what test_npz and test_safetensors wrote (with KEEP=folder)."""
    z = np.load(folder / "written.npz")
    assert z["vectors"].dtype == np.float32 and np.array_equal(z["vectors"], np.arange(12, dtype=np.float32).reshape(4, 3) / 8)
    assert z["rows"].dtype == np.int64 and z["rows"].tolist() == [-1, 2**40]
    assert z["ids"].tolist() == ["kettle", "café", "", "lamp 😀"] and z["none"].shape == (0, 2)
    t = load_file(folder / "written.safetensors")
    assert np.array_equal(t["table"], np.arange(6, dtype=np.float32).reshape(2, 3)) and t["double"].tolist() == [0.5]
    assert t["bytes"].tolist() == [1, 2, 3] and t["scalar"].shape == () and t["none"].shape == (0, 4)
    print("numpy and safetensors read the files")


if __name__ == "__main__":
    check(pathlib.Path(sys.argv[2])) if sys.argv[1:2] == ["check"] else main()
