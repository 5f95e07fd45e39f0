"""The kernel for x86-64 processors with AES and SHA instructions, compiled by LLVM at first use.

SHA-256 follows FIPS 180-4, AES-128 FIPS 197, the derivation the EN Cryptography
Specification v1.2. A function that takes a `builder` emits code where the builder stands.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

from bluezone.protocol.kernel.candidates import CANDIDATE, Prefilter, Search
from bluezone.protocol.keys import KEY_BYTES

# fmt: off
_SHA256_K: Final = (
    0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
    0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
    0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
    0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
    0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
    0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
    0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
    0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
)
_SHA256_IV: Final = (
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
)
# fmt: on
_AES_RCON: Final = (0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1B, 0x36)
_INFO: Final = (int.from_bytes(b"EN-R", "big"), int.from_bytes(b"PIK\x01", "big"))
_PADDED: Final = (int.from_bytes(b"EN-R", "little"), int.from_bytes(b"PI", "little"), 0)
_INNER_PAD: Final = 0x36363636
_OUTER_PAD: Final = 0x5C5C5C5C
_END: Final = 0x80000000  # the bit that SHA-256 puts behind a message

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_BYTES = ir.VectorType(_I8, 16)
_WORDS = ir.VectorType(_I32, 4)
_BLOCK = ir.VectorType(_I64, 2)
_POINTER = ir.PointerType()
_FIND: Final = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    *[ctypes.c_void_p] * 3,
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_uint64,
    ctypes.c_void_p,
)
_CANDIDATE = ir.ArrayType(_I8, CANDIDATE.itemsize)
_SIDE_BY_SIDE: Final = 8  # AES blocks in flight; with 11 round keys they fit the registers

_ENGINES: Final[list[llvm.ExecutionEngine]] = []  # they own the machine code

_State = tuple[ir.Value, ir.Value]  # eight words as (a b c d), (e f g h)


def _words(*values: int) -> ir.Constant:
    return ir.Constant(_WORDS, [ir.Constant(_I32, value) for value in values])


_IV: Final = _words(*_SHA256_IV[:4]), _words(*_SHA256_IV[4:])


def _pick(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, lanes: tuple[int, ...]) -> ir.Value:
    mask = ir.Constant(ir.VectorType(_I32, len(lanes)), [ir.Constant(_I32, i) for i in lanes])
    return builder.shuffle_vector(a, b, mask)


def _intrinsic(builder: ir.IRBuilder, name: str, kind: ir.Type, *arguments: ir.Value) -> ir.Value:
    types = [argument.type for argument in arguments]
    function = builder.module.globals.get(name) or ir.Function(
        builder.module, ir.FunctionType(kind, types), name
    )
    return builder.call(function, arguments)


def _swap_bytes(builder: ir.IRBuilder, words: ir.Value) -> ir.Value:
    return _intrinsic(builder, "llvm.bswap.v4i32", _WORDS, words)


def _compress(builder: ir.IRBuilder, state: _State, block: list[ir.Value]) -> _State:
    """SHA-256's compression of one block of four times four words."""
    abef = _pick(builder, *state, (5, 4, 1, 0))  # the order the instructions want
    cdgh = _pick(builder, *state, (7, 6, 3, 2))
    first = abef, cdgh
    w = list(block)
    for i in range(16):
        if i >= 4:
            mixed = _intrinsic(builder, "llvm.x86.sha256msg1", _WORDS, w[0], w[1])
            mixed = builder.add(mixed, _pick(builder, w[2], w[3], (1, 2, 3, 4)))
            w = [*w[1:], _intrinsic(builder, "llvm.x86.sha256msg2", _WORDS, mixed, w[3])]
        four = builder.add(w[min(i, 3)], _words(*_SHA256_K[4 * i : 4 * i + 4]))
        for two in (four, _pick(builder, four, four, (2, 3, 0, 1))):
            turned = _intrinsic(builder, "llvm.x86.sha256rnds2", _WORDS, cdgh, abef, two)
            abef, cdgh = turned, abef
    abef, cdgh = builder.add(abef, first[0]), builder.add(cdgh, first[1])
    return _pick(builder, abef, cdgh, (3, 2, 7, 6)), _pick(builder, abef, cdgh, (1, 0, 5, 4))


def _hmac_key(builder: ir.IRBuilder, key: _State) -> tuple[_State, _State]:
    """HMAC (RFC 2104) before its message: the inner and outer state for a 32-byte key."""
    states = []
    for pad in (_INNER_PAD, _OUTER_PAD):
        block = [builder.xor(words, _words(*[pad] * 4)) for words in key]
        states.append(_compress(builder, _IV, [*block, *[_words(*[pad] * 4)] * 2]))
    return states[0], states[1]


def _hmac(builder: ir.IRBuilder, key: tuple[_State, _State], message: list[ir.Value]) -> _State:
    """HMAC of a message that fits into one block, given with SHA-256's padding."""
    inner, outer = key
    digest = _compress(builder, inner, message)
    return _compress(builder, outer, [*digest, _words(_END, 0, 0, 0), _length(32)])


def _length(message: int) -> ir.Constant:
    """SHA-256's last four words: bits of HMAC's key block and of `message` bytes."""
    return _words(0, 0, 0, 8 * (64 + message))


def _identifier_key(
    builder: ir.IRBuilder, zero_salt: tuple[_State, _State], tek: ir.Value
) -> ir.Value:
    """RPIK: HKDF's extract and expand (RFC 5869), the first 16 bytes."""
    nothing = _words(0, 0, 0, 0)
    extracted = _hmac(builder, zero_salt, [tek, _words(_END, 0, 0, 0), nothing, _length(KEY_BYTES)])
    info = [_words(*_INFO, _END, 0), nothing, nothing, _length(4 * len(_INFO))]
    return _hmac(builder, _hmac_key(builder, extracted), info)[0]


def _round_keys(builder: ir.IRBuilder, key: ir.Value) -> list[ir.Value]:
    """The eleven round keys of AES-128, four words each."""
    keys = [key]
    rotate = ir.Constant(
        ir.VectorType(_I32, 16), [ir.Constant(_I32, i) for i in (13, 14, 15, 12) * 4]
    )
    for constant in _AES_RCON:
        last = builder.bitcast(keys[-1], _BYTES)
        last = builder.bitcast(builder.shuffle_vector(last, last, rotate), _BLOCK)
        # With four equal columns ShiftRows does nothing, so this is SubWord and the constant.
        rcon = builder.bitcast(_words(*[constant] * 4), _BLOCK)
        mixed = builder.bitcast(
            _intrinsic(builder, "llvm.x86.aesni.aesenclast", _BLOCK, last, rcon), _WORDS
        )
        following = keys[-1]
        for _ in range(3):
            shifted = _pick(builder, following, _words(0, 0, 0, 0), (4, 0, 1, 2))
            following = builder.xor(following, shifted)
        keys.append(builder.xor(following, mixed))
    return [builder.bitcast(key, _BLOCK) for key in keys]


def _encrypt(builder: ir.IRBuilder, keys: list[ir.Value], blocks: list[ir.Value]) -> list[ir.Value]:
    """AES-128 of blocks side by side: a processor starts several before the first is done."""
    blocks = [builder.xor(block, keys[0]) for block in blocks]
    for key in keys[1:-1]:
        blocks = [
            _intrinsic(builder, "llvm.x86.aesni.aesenc", _BLOCK, block, key) for block in blocks
        ]
    return [
        _intrinsic(builder, "llvm.x86.aesni.aesenclast", _BLOCK, block, keys[-1])
        for block in blocks
    ]


@contextmanager
def _loop(builder: ir.IRBuilder, count: ir.Value, step: int = 1) -> Iterator[ir.Value]:
    """Repeat what is emitted inside for an i64 from 0 up to `count` in steps of `step`."""
    before = builder.block
    test, body, after = (builder.append_basic_block(name) for name in ("test", "body", "after"))
    builder.branch(test)
    builder.position_at_end(test)
    index = builder.phi(_I64)
    index.add_incoming(_I64(0), before)
    builder.cbranch(builder.icmp_signed("<", index, count), body, after)
    builder.position_at_end(body)
    yield index
    index.add_incoming(builder.add(index, _I64(step)), builder.block)
    builder.branch(test)
    builder.position_at_end(after)


def _module() -> ir.Module:
    """`find(keys, starts, periods, count, bits, mask, out) -> found`.

    `mask` is the number of bits of the prefilter less one. `out` has room for every
    identifier of the keys.
    """
    module = ir.Module("kernel")
    arguments = [_POINTER, _POINTER, _POINTER, _I64, _POINTER, _I64, _POINTER]
    function = ir.Function(module, ir.FunctionType(_I64, arguments), "find")
    teks, starts, periods, count, bits, mask, out = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    identifiers = builder.alloca(_BLOCK, _SIDE_BY_SIDE)
    found = builder.alloca(_I64)
    builder.store(_I64(0), found)
    zero_salt = _hmac_key(builder, (_words(0, 0, 0, 0), _words(0, 0, 0, 0)))

    def at(pointer: ir.Value, index: ir.Value, kind: ir.Type) -> ir.Value:
        return builder.gep(pointer, [index], source_etype=kind)

    with _loop(builder, count) as row:
        tek = builder.load(at(teks, row, _WORDS), typ=_WORDS, align=1)
        start = builder.load(at(starts, row, _I32), typ=_I32)
        period = builder.zext(builder.load(at(periods, row, _I16), typ=_I16), _I64)
        identifier_key = _identifier_key(builder, zero_salt, _swap_bytes(builder, tek))
        keys = _round_keys(builder, _swap_bytes(builder, identifier_key))
        with _loop(builder, period, _SIDE_BY_SIDE) as first:
            interval = builder.add(start, builder.trunc(first, _I32))
            padded = [
                builder.insert_element(
                    _words(*_PADDED, 0), builder.add(interval, _I32(lane)), _I32(3)
                )
                for lane in range(_SIDE_BY_SIDE)
            ]
            blocks = [builder.bitcast(words, _BLOCK) for words in padded]
            for lane, rpi in enumerate(_encrypt(builder, keys, blocks)):
                builder.store(rpi, at(identifiers, _I64(lane), _BLOCK))
            rest = builder.sub(period, first)
            last = builder.icmp_signed("<", rest, _I64(_SIDE_BY_SIDE))
            with _loop(builder, builder.select(last, rest, _I64(_SIDE_BY_SIDE))) as lane:
                rpi = at(identifiers, lane, _BLOCK)
                position = builder.and_(builder.load(rpi, typ=_I64), mask)
                byte = builder.load(at(bits, builder.lshr(position, _I64(3)), _I8), typ=_I8)
                bit = builder.lshr(byte, builder.trunc(builder.and_(position, _I64(7)), _I8))
                with builder.if_then(builder.trunc(bit, ir.IntType(1)), likely=False):
                    place = builder.load(found)
                    record = at(out, place, _CANDIDATE)
                    builder.store(builder.load(rpi, typ=_BLOCK), record, align=1)
                    rest_of_record = at(record, _I64(1), _BLOCK)
                    builder.store(builder.trunc(row, _I32), rest_of_record, align=1)
                    this = builder.add(interval, builder.trunc(lane, _I32))
                    builder.store(this, at(rest_of_record, _I64(1), _I32), align=1)
                    builder.store(builder.add(place, _I64(1)), found)
    builder.ret(builder.load(found))
    return module


@cache
def compiled() -> Search | None:
    """The kernel for this processor, or None if it lacks the instructions. About 0.1 s."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return None  # elsewhere it has never run
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    if not all(features.get(name) for name in ("aes", "sha", "ssse3", "sse4.1")):
        return None  # LLVM would end the process, not raise, at an instruction it cannot emit
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=3
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(str(_module())), machine)
    engine.finalize_object()
    _ENGINES.append(engine)
    find = _FIND(engine.get_function_address("find"))

    def search(
        keys: NDArray[np.uint8],
        rolling_start: NDArray[np.uint32],
        rolling_period: NDArray[np.uint16],
        prefilter: Prefilter,
    ) -> NDArray[np.void]:
        keys = np.ascontiguousarray(keys)
        rolling_start = np.ascontiguousarray(rolling_start)
        rolling_period = np.ascontiguousarray(rolling_period)
        out = np.empty(int(rolling_period.sum(dtype=np.int64)), CANDIDATE)
        count = find(
            keys.ctypes.data,
            rolling_start.ctypes.data,
            rolling_period.ctypes.data,
            len(keys),
            prefilter.bits.ctypes.data,
            prefilter.size - 1,
            out.ctypes.data,
        )
        return out[:count].copy()

    return search
