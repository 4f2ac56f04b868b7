"""Pickles that must be refused, each for its own reason.

Writes `hostile/NAME.pkl`. None of them does harm when read with nephos; several
would run a command if Python unpickled them. Needs no NumPy.
"""

import os
import pathlib
import pickle
import struct

HERE = pathlib.Path(__file__).parent / "hostile"
HERE.mkdir(exist_ok=True)
CANARY = "touch nephos-canary"


class Call:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def text(value):
    value = value.encode()
    return b"\x8c" + bytes([len(value)]) + value


def glob(module, name):
    return text(module) + text(name) + b"\x93"


def dtype(code="u2", order="<", state=b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"):
    return glob("numpy", "dtype") + text(code) + b"\x89\x88\x87R(K\x03" + text(order) + state + b"b"


def integer(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def shape(*axes):
    return b"(" + b"".join(map(integer, axes)) + b"t"


def data(payload, announced=None):
    return b"\x8e" + struct.pack("<Q", len(payload) if announced is None else announced) + payload


NEW = glob("numpy.core.multiarray", "_reconstruct") + glob("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"


def array(axes=shape(1, 2, 3), kind=None, payload=data(bytes(12)), order=b"\x89"):
    kind = dtype() if kind is None else kind
    return NEW + b"(K\x01" + axes + kind + order + payload + b"tb"


def frombuffer(axes=shape(1, 2, 3), order=text("C"), payload=b"\x96" + struct.pack("<Q", 12) + bytes(12)):
    return glob("numpy.core.numeric", "_frombuffer") + b"(" + payload + dtype() + axes + order + b"tR"


def listed(*items):
    return b"\x80\x04](" + b"".join(items) + b"e."


GOOD = listed(array())

files = {
    # Code that would run.
    "os_system_p0": pickle.dumps([Call(os.system, CANARY)], 0),
    "os_system_p2": pickle.dumps([Call(os.system, CANARY)], 2),
    "os_system_p4": pickle.dumps([Call(os.system, CANARY)], 4),
    "eval": pickle.dumps(Call(eval, f"__import__('os').system('{CANARY}')"), 4),
    "exec_beside_array": listed(array(), glob("builtins", "exec") + text(CANARY) + b"\x85R"),
    "getattr": listed(glob("builtins", "getattr") + glob("numpy", "ndarray") + text("x") + b"\x86R"),
    "numpy_load": listed(glob("numpy", "load") + text("x.npy") + b"\x85R"),
    "numpy_submodule": listed(glob("numpy.core.multiarray", "fromfile") + text("x") + b"\x85R"),
    "codecs_decode": listed(glob("_codecs", "decode") + text("x") + text("hex") + b"\x86R"),
    "instance": b"(S'touch nephos-canary'\nios\nsystem\n.",
    "object": b"(cos\nsystem\nS'touch nephos-canary'\no.",
    "newobj": b"\x80\x04" + glob("numpy", "ndarray") + b")\x81.",
    "newobj_ex": b"\x80\x04" + glob("numpy", "ndarray") + b")}\x92.",
    "extension": b"\x80\x02\x82\x01.",
    "persistent_text": b"Pevil\n.",
    "persistent": b"\x80\x04" + text("evil") + b"Q.",
    "call_of_ndarray": listed(glob("numpy", "ndarray") + shape(1, 2, 3) + b"\x85R"),
    "reconstruct_other_class": listed(
        glob("numpy.core.multiarray", "_reconstruct") + glob("numpy", "dtype") + b"K\x00\x85C\x01b\x87R"
    ),
    "call_of_text": listed(text("system") + text(CANARY) + b"\x85R"),
    "encode_as_hex": listed(glob("_codecs", "encode") + text("00") + text("hex") + b"\x86R"),
    # Lengths and shapes that lie.
    "length_past_end": listed(array(payload=data(bytes(12), 1 << 40))),
    "length_u64_max": listed(array(payload=data(bytes(12), (1 << 64) - 1))),
    "text_past_end": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"x.",
    "frame_past_end": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + GOOD[2:],
    "shape_overflows": listed(array(shape(1 << 32, 1 << 32, 1 << 32))),
    "shape_wraps_to_size": listed(array(shape(1 << 62, 4, 6 + (1 << 61)))),
    "shape_too_large": listed(array(shape(1, 2, 4))),
    "shape_too_small": listed(array(shape(1, 2, 2))),
    "shape_negative": listed(array(shape(-1, -2, 3))),
    "shape_zero": listed(array(shape(0, 2, 3), payload=data(b""))),
    "shape_of_two": listed(array(shape(2, 3))),
    "shape_of_five": listed(array(shape(1, 1, 1, 2, 3))),
    "shape_of_many": listed(array(shape(*[1] * 1000))),
    "shape_of_text": listed(array(b"(" + text("1") + text("2") + text("3") + b"t")),
    "shape_is_list": listed(array(b"](K\x01K\x02K\x03e")),
    "frombuffer_too_long": listed(frombuffer(shape(1, 2, 4))),
    "frombuffer_order": listed(frombuffer(order=text("K"))),
    "integer_of_300_bytes": b"\x80\x04\x8b" + struct.pack("<I", 300) + bytes(300) + b".",
    "integer_text": b"I12x\n.",
    # Types that are not plain numbers.
    "object_array": listed(array(kind=dtype("O8", "|"), payload=b"]N\x61")),
    "structured": listed(array(kind=dtype("V4", "|"))),
    "structured_state": listed(array(kind=dtype(state=b"N(" + text("a") + b"t}J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"))),
    "complex": listed(array(kind=dtype("c8"))),
    "text_type": listed(array(kind=dtype("U3"))),
    "byte_order": listed(array(kind=dtype(order="!"))),
    "dtype_is_none": listed(array(kind=b"N")),
    "dtype_is_array": listed(array(kind=array())),
    "data_is_list": listed(array(payload=b"]")),
    # Structure.
    "empty_file_of_protocol": b"\x80\x04",
    "protocol_6": b"\x80\x06" + GOOD[2:],
    "unknown_opcode": b"\x80\x04\xff.",
    "out_of_band": b"\x80\x05\x97.",
    "memo_missing": b"\x80\x04]h\x07a.",
    "memo_missing_long": b"\x80\x04]j\xff\xff\xff\xffa.",
    "memo_of_nothing": b"\x80\x04\x94.",
    "stack_empty": b"\x80\x04.",
    "reduce_on_nothing": b"\x80\x04R.",
    "tuple_without_mark": b"\x80\x04K\x01t.",
    "pop_below_mark": b"\x80\x04K\x01(\x85.",
    "append_to_tuple": b"\x80\x04)K\x01a.",
    "setitem_odd": b"\x80\x04}(K\x01K\x02K\x03u.",
    "build_on_list": b"\x80\x04])b.",
    "array_never_built": b"\x80\x04](" + NEW + b"e.",
    "number_alone": b"\x80\x04K\x07.",
    "list_of_numbers": pickle.dumps([1, 2, 3], 4),
    "list_of_lists": pickle.dumps([[1], [2]], 4),
    "list_contains_itself": b"\x80\x04]\x94h\x00a.",
    "dict_key_none": b"\x80\x04}N" + array() + b"s.",
    "dict_key_twice": b"\x80\x04}(" + (text("a") + array()) * 2 + b"u.",
    "set_of_numbers": pickle.dumps({1, 2}, 4),
    "deep_nesting": b"\x80\x04" + b"]" * 20_000 + b"a" * 19_999 + b".",
    "deep_tuples": b"\x80\x04)" + b"\x85" * 20_000 + b".",
    "deep_marks": b"\x80\x04" + b"(" * 20_000 + b".",
    # Each list holds the one before twice: 2^60 leaves for who walks it.
    "billion_laughs": b"\x80\x04]\x94" + b"".join(
        b"](" + bytes([ord("h"), i]) * 2 + b"e\x94" for i in range(60)
    ) + b".",
    "cut_in_data": GOOD[:-10],
    "cut_in_header": GOOD[:40],
    "cut_before_stop": GOOD[:-1],
    "no_pickle": b"\x93NUMPI not at all",
    "zeros": bytes(64),
    # Escapes that are broken, found when the numbers are read.
    "escape_too_long": b"(lp0\n" + pickle.dumps("x" * 5, 0),
    "line_without_end": b"Vabc",
    "string_without_quotes": b"Sabc\n.",
    "text_not_utf8": b"\x80\x04\x8c\x02\xff\xfe\x8c\x01x\x93.",
}

for name, content in files.items():
    (HERE / f"{name}.pkl").write_bytes(content)
print(len(files), "files")
