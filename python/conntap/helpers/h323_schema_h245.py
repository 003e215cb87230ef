"""What H.245 messages look like: as `h323_schema`, for the control channel and the channels that a fast start opens.

Source: ITU-T H.245 version 7 annex A; kernel net/netfilter/nf_conntrack_h323_types.c for what is read.
"""

from __future__ import annotations

from typing import Final

from conntap.helpers.h323_per import (
    LENGTH,
    OCTET,
    Addition,
    Bits,
    Choice,
    Field,
    FixedOctets,
    LongNumber,
    Number,
    Place,
    Sequence,
    SequenceOf,
    Sized,
    optional,
    required,
)

__all__ = ["CONTROL_MESSAGE", "OPEN_LOGICAL_CHANNEL"]

_NULL: Final = Bits(0)
_BOOLEAN: Final = Bits(1)
_WORD: Final = Number(2)
_OCTETS: Final = Sized(LENGTH)

_NON_STANDARD: Final = Sequence(
    required(
        "nonStandardIdentifier",
        Choice(
            Field("object", Sized(OCTET)),
            Field(
                "h221NonStandard",
                Sequence(
                    required("t35CountryCode", Number(1)),
                    required("t35Extension", Number(1)),
                    required("manufacturerCode", Number(2)),
                ),
            ),
        ),
    ),
    required("data", _OCTETS),
)

# Addresses

_UNICAST_ADDRESS: Final = Choice(
    Field("iPAddress", Sequence(required("network", Place(4)), required("tsapIdentifier", _WORD), extensible=True)),
    Field(
        "iPXAddress",
        Sequence(
            required("node", FixedOctets(6)),
            required("netnum", FixedOctets(4)),
            required("tsapIdentifier", FixedOctets(2)),
            extensible=True,
        ),
    ),
    Field("iP6Address", Sequence(required("network", Place(16)), required("tsapIdentifier", _WORD), extensible=True)),
    Field("netBios", FixedOctets(16)),
    Field(
        "iPSourceRouteAddress",
        Sequence(
            required("routing", Choice(Field("strict", _NULL), Field("loose", _NULL))),
            required("network", FixedOctets(4)),
            required("tsapIdentifier", _WORD),
            required("route", SequenceOf(FixedOctets(4))),
            extensible=True,
        ),
    ),
    extensible=True,
    known=2,
)
_MULTICAST_ADDRESS: Final = Choice(
    Field(
        "iPAddress", Sequence(required("network", FixedOctets(4)), required("tsapIdentifier", _WORD), extensible=True)
    ),
    Field(
        "iP6Address", Sequence(required("network", FixedOctets(16)), required("tsapIdentifier", _WORD), extensible=True)
    ),
    extensible=True,
    known=2,
)
_TRANSPORT_ADDRESS: Final = Choice(
    Field("unicastAddress", _UNICAST_ADDRESS), Field("multicastAddress", _MULTICAST_ADDRESS), extensible=True
)

# What flows in a channel

_MPI: Final = Bits(2)
_H263_MPI: Final = Bits(5)
_VIDEO: Final = Choice(
    Field("nonStandard", _NON_STANDARD),
    Field(
        "h261VideoCapability",
        Sequence(
            optional("qcifMPI", _MPI),
            optional("cifMPI", _MPI),
            required("temporalSpatialTradeOffCapability", _BOOLEAN),
            required("maxBitRate", _WORD),
            required("stillImageTransmission", _BOOLEAN),
            extensible=True,
            known=1,
        ),
    ),
    Field(
        "h262VideoCapability",
        Sequence(
            required("profileAndLevel-SPatML … profileAndLevel-HPatHL", Bits(11)),
            optional("videoBitRate", LongNumber()),
            optional("vbvBufferSize", LongNumber()),
            optional("samplesPerLine", _WORD),
            optional("linesPerFrame", _WORD),
            optional("framesPerSecond", Bits(4)),
            optional("luminanceSampleRate", LongNumber()),
            extensible=True,
            known=1,
        ),
    ),
    Field(
        "h263VideoCapability",
        Sequence(
            optional("sqcifMPI", _H263_MPI),
            optional("qcifMPI", _H263_MPI),
            optional("cifMPI", _H263_MPI),
            optional("cif4MPI", _H263_MPI),
            optional("cif16MPI", _H263_MPI),
            required("maxBitRate", LongNumber()),
            required("unrestrictedVector … temporalSpatialTradeOffCapability", Bits(5)),
            optional("hrd-B", LongNumber()),
            optional("bppMaxKb", _WORD),
            extensible=True,
            known=8,
        ),
    ),
    Field(
        "is11172VideoCapability",
        Sequence(
            required("constrainedBitstream", _BOOLEAN),
            optional("videoBitRate", LongNumber()),
            optional("vbvBufferSize", LongNumber()),
            optional("samplesPerLine", _WORD),
            optional("linesPerFrame", _WORD),
            optional("pictureRate", Bits(4)),
            optional("luminanceSampleRate", LongNumber()),
            extensible=True,
            known=1,
        ),
    ),
    extensible=True,
    known=1,
)
_FRAMES: Final = Number(1)
_AUDIO: Final = Choice(
    Field("nonStandard", _NON_STANDARD),
    Field("g711Alaw64k", _FRAMES),
    Field("g711Alaw56k", _FRAMES),
    Field("g711Ulaw64k", _FRAMES),
    Field("g711Ulaw56k", _FRAMES),
    Field("g722-64k", _FRAMES),
    Field("g722-56k", _FRAMES),
    Field("g722-48k", _FRAMES),
    Field("g7231", Sequence(required("maxAl-sduAudioFrames", _FRAMES), required("silenceSuppression", _BOOLEAN))),
    Field("g728", _FRAMES),
    Field("g729", _FRAMES),
    Field("g729AnnexA", _FRAMES),
    Field(
        "is11172AudioCapability",
        Sequence(required("audioLayer1 … twoChannels", Bits(8)), required("bitRate", _WORD), extensible=True),
    ),
    Field(
        "is13818AudioCapability",
        Sequence(required("audioLayer1 … multilingual", Bits(20)), required("bitRate", _WORD), extensible=True),
    ),
    extensible=True,
    known=8,
)
_DATA_PROTOCOL: Final = Choice(
    Field("nonStandard", _NON_STANDARD),
    Field("v14buffered", _NULL),
    Field("v42lapm", _NULL),
    Field("hdlcFrameTunnelling", _NULL),
    Field("h310SeparateVCStack", _NULL),
    Field("h310SingleVCStack", _NULL),
    Field("transparent", _NULL),
    extensible=True,
    known=7,
    additions={3: Addition("separateLANStack", None)},
)
_T84_PROFILE: Final = Choice(
    Field("t84Unrestricted", _NULL),
    Field("t84Restricted", Sequence(required("qcif … digPhotoHighProg", Bits(19)), extensible=True)),
)
_DATA: Final = Sequence(
    required(
        "application",
        Choice(
            Field("nonStandard", _NON_STANDARD),
            Field("t120", _DATA_PROTOCOL),
            Field("dsm-cc", _DATA_PROTOCOL),
            Field("userData", _DATA_PROTOCOL),
            Field("t84", Sequence(required("t84Protocol", _DATA_PROTOCOL), required("t84Profile", _T84_PROFILE))),
            Field("t434", _DATA_PROTOCOL),
            Field("h224", _DATA_PROTOCOL),
            Field("nlpid", Sequence(required("nlpidProtocol", _DATA_PROTOCOL), required("nlpidData", _OCTETS))),
            Field("dsvdControl", _NULL),
            Field("h222DataPartitioning", _DATA_PROTOCOL),
            extensible=True,
            known=4,
        ),
    ),
    required("maxBitRate", LongNumber()),
    extensible=True,
)
_DATA_TYPE: Final = Choice(
    Field("nonStandard", _NON_STANDARD),
    Field("nullData", _NULL),
    Field("videoData", _VIDEO),
    Field("audioData", _AUDIO),
    Field("data", _DATA),
    Field(
        "encryptionData",
        Choice(Field("nonStandard", _NON_STANDARD), Field("h233Encryption", _NULL), extensible=True),
    ),
    extensible=True,
    known=3,
)

# How it is carried

_H222_PARAMETERS: Final = Sequence(
    required("resourceID", _WORD),
    required("subChannelID", _WORD),
    optional("pcr-pid", _WORD),
    optional("programDescriptors", _OCTETS),
    optional("streamDescriptors", _OCTETS),
    extensible=True,
)
_H223_PARAMETERS: Final = Sequence(
    required(
        "adaptationLayerType",
        Choice(
            Field("nonStandard", _NON_STANDARD),
            Field("al1Framed", _NULL),
            Field("al1NotFramed", _NULL),
            Field("al2WithoutSequenceNumbers", _NULL),
            Field("al2WithSequenceNumbers", _NULL),
            Field("al3", Sequence(required("controlFieldOctets", Bits(2)), required("sendBufferSize", LongNumber()))),
            extensible=True,
            known=3,
        ),
    ),
    required("segmentableFlag", _BOOLEAN),
    extensible=True,
)
_ONE_OF_THREE: Final = Choice(Field("first", _NULL), Field("second", _NULL), Field("third", _NULL), extensible=True)
_V76_PARAMETERS: Final = Sequence(
    required(
        "hdlcParameters",
        Sequence(
            required("crcLength", _ONE_OF_THREE),
            required("n401", _WORD),
            required("loopbackTestProcedure", _BOOLEAN),
            extensible=True,
        ),
    ),
    required("suspendResume", _ONE_OF_THREE),
    required("uIH", _BOOLEAN),
    required(
        "mode",
        Choice(
            Field(
                "eRM",
                Sequence(required("windowSize", Bits(7)), required("recovery", _ONE_OF_THREE), extensible=True),
            ),
            Field("uNERM", _NULL),
            extensible=True,
        ),
    ),
    required("v75Parameters", Sequence(required("audioHeaderPresent", _BOOLEAN), extensible=True)),
    extensible=True,
)
_H2250_PARAMETERS: Final = Sequence(
    optional("nonStandard", SequenceOf(_NON_STANDARD)),
    required("sessionID", Number(1)),
    optional("associatedSessionID", Bits(8)),
    optional("mediaChannel", _TRANSPORT_ADDRESS),
    optional("mediaGuaranteedDelivery", _BOOLEAN),
    optional("mediaControlChannel", _TRANSPORT_ADDRESS),
    extensible=True,
    options=10,
)
_H2250_ACK_PARAMETERS: Final = Sequence(
    optional("nonStandard", SequenceOf(_NON_STANDARD)),
    optional("sessionID", Bits(8)),
    optional("mediaChannel", _TRANSPORT_ADDRESS),
    optional("mediaControlChannel", _TRANSPORT_ADDRESS),
    optional("dynamicRTPPayloadType", Bits(5)),
    extensible=True,
    known=2,
)
_H2250_ADDED: Final = Addition("h2250LogicalChannelParameters", _H2250_PARAMETERS)
_SEPARATE_STACK: Final = Sequence(
    optional("distribution", Choice(Field("unicast", _NULL), Field("multicast", _NULL), extensible=True)),
    required(
        "networkAddress",
        Choice(
            Field(
                "q2931Address",
                Sequence(
                    required(
                        "address",
                        Choice(
                            Field("internationalNumber", Sized(4, unit=4, least=1)),
                            Field("nsapAddress", Sized(5, least=1)),
                            extensible=True,
                        ),
                    ),
                    optional("subaddress", Sized(5, least=1)),
                    extensible=True,
                ),
            ),
            Field("e164Address", Sized(7, unit=4, least=1)),
            Field("localAreaAddress", _TRANSPORT_ADDRESS),
            extensible=True,
        ),
    ),
    required("associateConference", _BOOLEAN),
    optional("externalReference", Sized(8, least=1)),
    extensible=True,
    known=1,
)

#: OpenLogicalChannel: "I want to send, and this is where I can be reached".
OPEN_LOGICAL_CHANNEL: Final = Sequence(
    required("forwardLogicalChannelNumber", _WORD),
    required(
        "forwardLogicalChannelParameters",
        Sequence(
            optional("portNumber", _WORD),
            required("dataType", _DATA_TYPE),
            required(
                "multiplexParameters",
                Choice(
                    Field("h222LogicalChannelParameters", _H222_PARAMETERS),
                    Field("h223LogicalChannelParameters", _H223_PARAMETERS),
                    Field("v76LogicalChannelParameters", _V76_PARAMETERS),
                    extensible=True,
                    known=2,
                    additions={0: _H2250_ADDED},
                ),
            ),
            extensible=True,
            known=2,
        ),
    ),
    optional(
        "reverseLogicalChannelParameters",
        Sequence(
            required("dataType", _DATA_TYPE),
            optional(
                "multiplexParameters",
                Choice(
                    Field("h223LogicalChannelParameters", _H223_PARAMETERS),
                    Field("v76LogicalChannelParameters", _V76_PARAMETERS),
                    extensible=True,
                    known=1,
                    additions={0: _H2250_ADDED},
                ),
            ),
            extensible=True,
            known=2,
        ),
    ),
    extensible=True,
    known=2,
    additions={0: Addition("separateStack", _SEPARATE_STACK)},
    unread_from=1,
)
_OPEN_LOGICAL_CHANNEL_ACK: Final = Sequence(
    required("forwardLogicalChannelNumber", _WORD),
    optional(
        "reverseLogicalChannelParameters",
        Sequence(
            required("reverseLogicalChannelNumber", _WORD),
            optional("portNumber", _WORD),
            optional(
                "multiplexParameters",
                Choice(
                    Field("h222LogicalChannelParameters", _H222_PARAMETERS),
                    extensible=True,
                    known=1,
                    additions={0: _H2250_ADDED},
                ),
            ),
            extensible=True,
            known=1,
        ),
    ),
    extensible=True,
    known=3,
    additions={
        0: Addition("separateStack", _SEPARATE_STACK),
        1: Addition(
            "forwardMultiplexAckParameters",
            Choice(Field("h2250LogicalChannelAckParameters", _H2250_ACK_PARAMETERS), extensible=True),
        ),
    },
    unread_from=2,
)

#: MultimediaSystemControlMessage: what goes through a control channel.
CONTROL_MESSAGE: Final = Choice(
    Field(
        "request",
        Choice(
            Field("nonStandard", None),
            Field("masterSlaveDetermination", None),
            Field("terminalCapabilitySet", None),
            Field("openLogicalChannel", OPEN_LOGICAL_CHANNEL),
            Field("closeLogicalChannel", None),
            Field("requestChannelClose", None),
            Field("multiplexEntrySend", None),
            Field("requestMultiplexEntry", None),
            Field("requestMode", None),
            Field("roundTripDelayRequest", None),
            Field("maintenanceLoopRequest", None),
            extensible=True,
            known=4,
            unread_additions=True,
        ),
    ),
    Field(
        "response",
        Choice(
            Field("nonStandard", None),
            Field("masterSlaveDeterminationAck", None),
            Field("masterSlaveDeterminationReject", None),
            Field("terminalCapabilitySetAck", None),
            Field("terminalCapabilitySetReject", None),
            Field("openLogicalChannelAck", _OPEN_LOGICAL_CHANNEL_ACK),
            Field("openLogicalChannelReject", None),
            Field("closeLogicalChannelAck", None),
            Field("requestChannelCloseAck", None),
            Field("requestChannelCloseReject", None),
            Field("multiplexEntrySendAck", None),
            Field("multiplexEntrySendReject", None),
            Field("requestMultiplexEntryAck", None),
            Field("requestMultiplexEntryReject", None),
            Field("requestModeAck", None),
            Field("requestModeReject", None),
            Field("roundTripDelayResponse", None),
            Field("maintenanceLoopAck", None),
            Field("maintenanceLoopReject", None),
            extensible=True,
            known=5,
            unread_additions=True,
        ),
    ),
    Field("command", None),
    Field("indication", None),
    extensible=True,
)
