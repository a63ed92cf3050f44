"""dmr_utils3 as a judge."""

from bitarray import bitarray
from bitarray.util import ba2int, int2ba
from dmr_utils3 import bptc, crc, decode, golay, hamming, qr, rs129

from judge import nearest, serve


def burst_info(bits):
    return f"{ba2int(bits):049x}"


def info_bits(burst):
    bits = bitarray()
    bits.frombytes(bytes.fromhex(burst))
    return bits[:98] + bits[166:]


def hamming_encode(encode, size):
    def word(data):
        bits = int2ba(data, size)
        return ba2int(bits + encode(bits))

    return word


def embedded_decode(fragments):
    bits = bitarray()
    bits.frombytes(bytes.fromhex(fragments))
    return bptc.decode_emblc(bits)[:9].hex()


def embedded_encode(lc):
    parts = bptc.encode_emblc(bytes.fromhex(lc))
    return b"".join(parts[n].tobytes() for n in (1, 2, 3, 4)).hex()


def voice(burst):
    fields = decode.voice(bytes.fromhex(burst))
    return {
        "cc": fields["CC"][0],
        "lcss": fields["LCSS"][0],
        "fragment": fields["EMBED"].tobytes().hex(),
        "ambe": b"".join(part.tobytes() for part in fields["AMBE"]).hex(),
    }


def head_term(burst):
    fields = decode.voice_head_term(bytes.fromhex(burst))
    return {
        "lc": fields["LC"].hex(),
        "cc": fields["CC"][0],
        "data_type": fields["DTYPE"][0],
        "sync": fields["SYNC"].tobytes().hex(),
    }


def golay_encode(data):
    # Its check bits are in the order of its tables: the low byte of the check word first, then the high one.
    return golay.encode_2087(bytes([data]))


def qr_encode(data):
    word = qr.encode(bytearray([data << 1, 0]))
    return word[0] << 8 | word[1]


serve(
    {
        "golay_encode": golay_encode,
        "golay_decode": lambda word: golay.decode_2087(word.to_bytes(3, "big")),
        "qr_encode": qr_encode,
        "qr_decode": lambda word: qr.decode(word.to_bytes(2, "big")),
        "qr_nearest": nearest([qr_encode(data) for data in range(128)], 2),
        "hamming_15_11": hamming_encode(hamming.enc_15113, 11),
        "hamming_13_9": hamming_encode(hamming.enc_1393, 9),
        "hamming_16_11": hamming_encode(hamming.enc_16114, 11),
        "rs_header": lambda lc: rs129.lc_header_encode(bytes.fromhex(lc)).hex(),
        "rs_terminator": lambda lc: rs129.lc_terminator_encode(bytes.fromhex(lc)).hex(),
        "bptc_encode": lambda info: burst_info(bptc.interleave_19696(bptc.encode_19696(bytes.fromhex(info)))),
        "header_lc": lambda lc: burst_info(bptc.encode_header_lc(bytes.fromhex(lc))),
        "terminator_lc": lambda lc: burst_info(bptc.encode_terminator_lc(bytes.fromhex(lc))),
        "read_lc": lambda burst: bptc.decode_full_lc(info_bits(burst)).tobytes().hex(),
        "embedded_decode": embedded_decode,
        "embedded_encode": embedded_encode,
        "checksum5": lambda lc: ba2int(crc.csum5(bytes.fromhex(lc))),
        "voice": voice,
        "head_term": head_term,
    }
)
