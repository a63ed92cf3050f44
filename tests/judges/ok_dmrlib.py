"""ok-dmrlib as a judge: its codes and checks. What its bursts say is in ok_pdu.py."""

from bitarray import bitarray
from bitarray.util import ba2int, int2ba
from okdmr.dmrlib.etsi.crc.crc8 import CRC8
from okdmr.dmrlib.etsi.crc.crc9 import CRC9
from okdmr.dmrlib.etsi.crc.crc16 import CRC16
from okdmr.dmrlib.etsi.crc.crc32 import CRC32
from okdmr.dmrlib.etsi.fec.bptc_196_96 import BPTC19696
from okdmr.dmrlib.etsi.fec.five_bit_checksum import FiveBitChecksum
from okdmr.dmrlib.etsi.fec.golay_20_8_7 import Golay2087
from okdmr.dmrlib.etsi.fec.hamming_13_9_3 import Hamming1393
from okdmr.dmrlib.etsi.fec.hamming_15_11_3 import Hamming15113
from okdmr.dmrlib.etsi.fec.hamming_16_11_4 import Hamming16114
from okdmr.dmrlib.etsi.fec.quadratic_residue_16_7_6 import QuadraticResidue1676
from okdmr.dmrlib.etsi.fec.reed_solomon_12_9_4 import ReedSolomon1294
from okdmr.dmrlib.etsi.fec.trellis import Trellis34
from okdmr.dmrlib.etsi.fec.vbptc_32_11 import VBPTC3211
from okdmr.dmrlib.etsi.fec.vbptc_128_72 import VBPTC12873
from okdmr.dmrlib.etsi.layer2.elements.crc_masks import CrcMasks

import ok_pdu
from judge import nearest, serve


def word(array):
    return int("".join(str(int(bit)) for bit in array), 2)


def encoder(code, size):
    return lambda data: word(code.generate(int2ba(data, size)))


def hamming(code, size):
    length = code.CODEWORD_LENGTH

    def correct(received):
        good, bits = code.check_and_correct(int2ba(received, length))
        return ba2int(bits) if good else None

    return encoder(code, size), correct


golay_encode = encoder(Golay2087, 8)
qr_encode = encoder(QuadraticResidue1676, 7)
encode_15_11, correct_15_11 = hamming(Hamming15113, 11)
encode_13_9, correct_13_9 = hamming(Hamming1393, 9)
encode_16_11, correct_16_11 = hamming(Hamming16114, 11)


def bits(data, length=None):
    result = bitarray()
    result.frombytes(bytes.fromhex(data))
    return result if length is None else result[:length]


def embedded_decode(fragments):
    data = VBPTC12873.deinterleave_data_bits(bits(fragments), include_cs5=True)
    return [data[:72].tobytes().hex(), ba2int(data[72:])]


serve(
    {
        **ok_pdu.HANDLERS,
        "golay_encode": golay_encode,
        "golay_check": lambda received: bool(Golay2087.check(int2ba(received, 20))),
        "golay_nearest": nearest([golay_encode(data) for data in range(256)], 3),
        "qr_encode": qr_encode,
        "qr_check": lambda received: bool(QuadraticResidue1676.check(int2ba(received, 16))),
        "qr_nearest": nearest([qr_encode(data) for data in range(128)], 2),
        "hamming_15_11": encode_15_11,
        "hamming_13_9": encode_13_9,
        "hamming_16_11": encode_16_11,
        "correct_15_11": correct_15_11,
        "correct_13_9": correct_13_9,
        "correct_16_11": correct_16_11,
        "rs_encode": lambda lc, mask: ReedSolomon1294.generate(bytes.fromhex(lc), bytes.fromhex(mask)).hex(),
        "rs_check": lambda data, mask: ReedSolomon1294.check(bytes.fromhex(data), bytes.fromhex(mask)),
        "bptc_encode": lambda info: f"{ba2int(BPTC19696.encode(bits(info))):049x}",
        "bptc_read": lambda burst: ok_pdu.info(burst, repair=False).tobytes().hex(),
        "bptc_repair": lambda burst: ok_pdu.info(burst, repair=True).tobytes().hex(),
        "trellis_encode": lambda data: f"{ba2int(Trellis34.encode(bytes.fromhex(data))):049x}",
        "trellis_read": lambda burst: Trellis34.decode(ok_pdu.info_bits(burst), as_bytes=True).hex(),
        "embedded_encode": lambda lc: VBPTC12873.encode(bits(lc)).tobytes().hex(),
        "embedded_decode": embedded_decode,
        "single_encode": lambda data: ba2int(VBPTC3211.encode(int2ba(data, 11))),
        "single_decode": lambda fragment: ba2int(VBPTC3211.deinterleave_data_bits(int2ba(fragment, 32))),
        "ccitt": lambda data, mask: CRC16.calculate(bytes.fromhex(data), CrcMasks(mask)),
        "crc9": lambda data, serial, mask: CRC9.calculate_from_parts(bytes.fromhex(data), serial, CrcMasks(mask)),
        "crc32": lambda data: CRC32.calculate(bytes.fromhex(data)),
        "crc8": lambda data: CRC8.calculate(int2ba(data, 28)),
        "checksum5": lambda lc: FiveBitChecksum.calculate(bytes.fromhex(lc)),
    }
)
