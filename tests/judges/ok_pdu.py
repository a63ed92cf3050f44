"""What ok-dmrlib reads in bursts, and bursts as it makes them."""

from bitarray import bitarray
from bitarray.util import ba2int, int2ba
from okdmr.dmrlib.etsi.crc.crc16 import CRC16
from okdmr.dmrlib.etsi.fec.bptc_196_96 import BPTC19696
from okdmr.dmrlib.etsi.fec.reed_solomon_12_9_4 import ReedSolomon1294
from okdmr.dmrlib.etsi.layer2.burst import Burst
from okdmr.dmrlib.etsi.layer2.elements.crc_masks import CrcMasks
from okdmr.dmrlib.etsi.layer2.elements.csbk_opcodes import CsbkOpcodes
from okdmr.dmrlib.etsi.layer2.elements.data_packet_formats import DataPacketFormats
from okdmr.dmrlib.etsi.layer2.elements.defined_data_formats import DefinedDataFormats
from okdmr.dmrlib.etsi.layer2.elements.feature_set_ids import FeatureSetIDs
from okdmr.dmrlib.etsi.layer2.elements.flcos import FLCOs
from okdmr.dmrlib.etsi.layer2.elements.full_message_flag import FullMessageFlag
from okdmr.dmrlib.etsi.layer2.elements.resynchronize_flag import ResynchronizeFlag
from okdmr.dmrlib.etsi.layer2.elements.sap_identifier import SAPIdentifier
from okdmr.dmrlib.etsi.layer2.elements.sarq import SARQ
from okdmr.dmrlib.etsi.layer2.elements.supplementary_flag import SupplementaryFlag
from okdmr.dmrlib.etsi.layer2.elements.sync_patterns import SyncPatterns
from okdmr.dmrlib.etsi.layer2.elements.udt_format import UDTFormat
from okdmr.dmrlib.etsi.layer2.pdu.csbk import CSBK
from okdmr.dmrlib.etsi.layer2.pdu.data_header import DataHeader
from okdmr.dmrlib.etsi.layer2.pdu.embedded_signalling import EmbeddedSignalling
from okdmr.dmrlib.etsi.layer2.pdu.full_link_control import FullLinkControl
from okdmr.dmrlib.etsi.layer2.pdu.pi_header import PIHeader
from okdmr.dmrlib.etsi.layer2.pdu.rate1_data import Rate1Data, Rate1DataTypes
from okdmr.dmrlib.etsi.layer2.pdu.rate12_data import Rate12Data, Rate12DataTypes
from okdmr.dmrlib.etsi.layer2.pdu.rate34_data import Rate34Data, Rate34DataTypes
from okdmr.dmrlib.etsi.layer2.pdu.slot_type import SlotType
from okdmr.dmrlib.etsi.layer3.elements.additional_information_field import AdditionalInformationField
from okdmr.dmrlib.etsi.layer3.elements.answer_response import AnswerResponse
from okdmr.dmrlib.etsi.layer3.elements.position_error import PositionError
from okdmr.dmrlib.etsi.layer3.elements.reason_code import ReasonCode
from okdmr.dmrlib.etsi.layer3.elements.service_options import ServiceOptions
from okdmr.dmrlib.etsi.layer3.elements.source_type import SourceType
from okdmr.dmrlib.etsi.layer3.elements.talker_alias_data_format import TalkerAliasDataFormat
from okdmr.dmrlib.etsi.layer3.elements.udt_option_flag import UDTOptionFlag

LC_MASKS = {"header": bytes([0x96] * 3), "terminator": bytes([0x99] * 3)}

# Which class makes an enumerated field out of a number.
ENUMS = {
    "csbko": CsbkOpcodes,
    "service_type": CsbkOpcodes,
    "udt_opcode": CsbkOpcodes,
    "answer_response": AnswerResponse,
    "additional_information_field": AdditionalInformationField,
    "source_type": SourceType,
    "reason_code": ReasonCode,
    "dpf": DataPacketFormats,
    "sap_identifier": SAPIdentifier,
    "full_message_flag": FullMessageFlag,
    "resynchronize_flag": ResynchronizeFlag,
    "defined_data_format": DefinedDataFormats,
    "sarq": SARQ,
    "udt_option_flag": UDTOptionFlag,
    "udt_format": UDTFormat,
    "supplementary_flag": SupplementaryFlag,
    "flco": FLCOs,
    "fid": FeatureSetIDs,
    "position_error": PositionError,
    "talker_alias_data_format": TalkerAliasDataFormat,
}


def burst_bits(burst):
    bits = bitarray()
    bits.frombytes(bytes.fromhex(burst))
    return bits


def info_bits(burst):
    bits = burst_bits(burst)
    return bits[:98] + bits[166:]


def info(burst, repair=False):
    return BPTC19696.deinterleave_data_bits(info_bits(burst), repair_if_necessary=repair)


def plain(value):
    """A field as JSON has it."""
    if isinstance(value, ServiceOptions) or hasattr(value, "as_bits"):
        return ba2int(value.as_bits())
    if hasattr(value, "value"):
        value = value.value
    if isinstance(value, bitarray):
        return ba2int(value) if value else None
    return value.hex() if isinstance(value, bytes) else value


def fields(pdu):
    return {name: plain(value) for name, value in vars(pdu).items()}


def made(values):
    """Fields from JSON as ok-dmrlib's constructors want them."""
    result = {}
    for name, value in values.items():
        if name in ENUMS:
            value = ENUMS[name](value)
        elif name == "service_options":
            value = ServiceOptions.from_bits(int2ba(value, 8))
        elif name == "talker_alias_data":
            value = bytes.fromhex(value)
        elif name == "bit_padding":
            value = int2ba(value, 8)
        result[name] = value
    return result


def encoded(pdu_bits):
    return f"{ba2int(BPTC19696.encode(pdu_bits)):049x}"


def slot_type(burst):
    bits = burst_bits(burst)
    return fields(SlotType.from_bits(bits[98:108] + bits[156:166]))


def emb(burst):
    bits = burst_bits(burst)
    return fields(EmbeddedSignalling.from_bits(bits[108:116] + bits[148:156]))


def lc(burst, kind):
    bits = info(burst)
    answer = fields(FullLinkControl.from_bits(bits))
    answer["good"] = ReedSolomon1294.check(bits.tobytes(), LC_MASKS[kind])
    return answer


def lc_make(kind, values):
    pdu = FullLinkControl(protect_flag=0, crc=bitarray(), **made(values))
    return encoded(burst_bits(ReedSolomon1294.generate(pdu.as_bytes(), LC_MASKS[kind]).hex()))


def csbk(burst):
    bits = info(burst)
    answer = fields(CSBK.from_bits(bits))
    answer["good"] = CRC16.check(bits[:80].tobytes(), ba2int(bits[80:]), CrcMasks.CSBK)
    return answer


def pi_header(burst):
    return fields(PIHeader.from_bits(info(burst)))


def data_block(burst, rate, confirmed, last):
    if rate == "half":
        kind, bits = Rate12DataTypes.resolve(confirmed, last), info(burst)
        return fields(Rate12Data.from_bits_typed(bits, kind))
    bits = Burst.deinterleave(info_bits(burst), Burst.from_bytes(bytes.fromhex(burst)).data_type)
    if rate == "three_quarters":
        return fields(Rate34Data.from_bits_typed(bits, Rate34DataTypes.resolve(confirmed, last)))
    return fields(Rate1Data.from_bits_typed(bits, Rate1DataTypes.resolve(confirmed, last)))


def burst(hexed):
    """All of it, errors corrected where ok-dmrlib does."""
    whole = Burst.from_bytes(bytes.fromhex(hexed))
    return {
        "sync": whole.sync_or_embedded_signalling.name,
        "slot_type": fields(whole.slot_type) if whole.slot_type else None,
        "emb": fields(whole.emb) if whole.emb else None,
        "data": fields(whole.data) if whole.data else None,
        "again": whole.as_bytes().hex(),
    }


HANDLERS = {
    "slot_type": slot_type,
    "slot_type_make": lambda cc, kind: ba2int(SlotType(colour_code=cc, data_type=kind).as_bits()),
    "emb": emb,
    "emb_make": lambda cc, pi, lcss: ba2int(EmbeddedSignalling(cc, pi, lcss).as_bits()),
    "sync": lambda hexed: SyncPatterns.from_bits(burst_bits(hexed)[108:156]).name,
    "sync_make": lambda name: SyncPatterns[name].value,
    "lc": lc,
    "lc_make": lc_make,
    "csbk": csbk,
    "csbk_make": lambda values: encoded(CSBK(**made(values)).as_bits()),
    "data_header": lambda hexed: fields(DataHeader.from_bits(info(hexed))),
    "data_header_make": lambda values: encoded(DataHeader(**made(values)).as_bits()),
    "pi_header": pi_header,
    "pi_header_make": lambda data: encoded(PIHeader(bytes.fromhex(data)).as_bits()),
    "data_block": data_block,
    "alias_text": lambda kind, data: TalkerAliasDataFormat(kind).decode(bytes.fromhex(data)),
    "burst": burst,
}
