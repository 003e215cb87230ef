"""What H.323 messages look like: the parts of ITU-T H.225.0 version 4, H.235 version 2 and H.245 version 7 that
announce connections, and what lies before them.

Names are those of the ASN.1 modules. A component that yields no value is described only as far as its extent; where
the kernel stops reading a sequence or choice (`options=`, `unread_from=`, an alternative of type None) so do we, and
its parent goes on from there, as the kernel's does.

Source: H.225.0 annex H, H.245 annex A; kernel net/netfilter/nf_conntrack_h323_types.c for what is read.
"""

from __future__ import annotations

from typing import Final

from conntap.helpers.h323_per import (
    LENGTH,
    OCTET,
    WORD,
    Addition,
    Bits,
    Choice,
    Field,
    FixedOctets,
    LongNumber,
    Number,
    Opaque,
    Place,
    Seconds,
    Sequence,
    SequenceOf,
    Sized,
    optional,
    required,
)
from conntap.helpers.h323_schema_h245 import CONTROL_MESSAGE, OPEN_LOGICAL_CHANNEL

__all__ = ["RAS_MESSAGE", "USER_INFORMATION"]

_NULL: Final = Bits(0)
_BOOLEAN: Final = Bits(1)
_OID: Final = Sized(OCTET)
_OCTETS: Final = Sized(LENGTH)
_IDENTIFIER: Final = Sized(7, unit=16, least=1)
_SEQUENCE_NUMBER: Final = Number(2)
_GUID: Final = FixedOctets(16)

# Addresses

_H221_NON_STANDARD: Final = Sequence(
    required("t35CountryCode", Number(1)),
    required("t35Extension", Number(1)),
    required("manufacturerCode", Number(2)),
    extensible=True,
)
_NON_STANDARD: Final = Sequence(
    required(
        "nonStandardIdentifier",
        Choice(Field("object", _OID), Field("h221NonStandard", _H221_NON_STANDARD), extensible=True),
    ),
    required("data", _OCTETS),
)
_TRANSPORT_ADDRESS: Final = Choice(
    Field("ipAddress", Sequence(required("ip", Place(4)), required("port", Number(2)))),
    Field(
        "ipSourceRoute",
        Sequence(
            required("ip", FixedOctets(4)),
            required("port", Number(2)),
            required("route", SequenceOf(FixedOctets(4))),
            required("routing", Choice(Field("strict", _NULL), Field("loose", _NULL), extensible=True)),
            extensible=True,
        ),
    ),
    Field(
        "ipxAddress",
        Sequence(
            required("node", FixedOctets(6)), required("netnum", FixedOctets(4)), required("port", FixedOctets(2))
        ),
    ),
    Field("ip6Address", Sequence(required("ip", Place(16)), required("port", Number(2)), extensible=True)),
    Field("netBios", FixedOctets(16)),
    Field("nsap", Sized(5, least=1)),
    Field("nonStandardAddress", _NON_STANDARD),
    extensible=True,
)
# The kernel remembers at most ten addresses of a list.
_TRANSPORT_ADDRESSES: Final = SequenceOf(_TRANSPORT_ADDRESS, limit=10)
_ALIAS: Final = Choice(
    Field("dialedDigits", Sized(7, unit=4, least=1)),
    Field("h323-ID", Sized(OCTET, unit=16, least=1)),
    extensible=True,
    known=5,
)
_ALIASES: Final = SequenceOf(_ALIAS)

# Endpoints

_VENDOR: Final = Sequence(
    required("vendor", _H221_NON_STANDARD),
    optional("productId", Sized(OCTET, least=1)),
    optional("versionId", Sized(OCTET, least=1)),
    extensible=True,
)
_CAPABILITIES: Final = Sequence(optional("nonStandardData", _NON_STANDARD), extensible=True, known=2)
_SUPPORTED_PROTOCOL: Final = Choice(
    Field("nonStandardData", _NON_STANDARD),
    Field("h310", _CAPABILITIES),
    Field("h320", _CAPABILITIES),
    Field("h321", _CAPABILITIES),
    Field("h322", _CAPABILITIES),
    Field("h323", _CAPABILITIES),
    Field("h324", _CAPABILITIES),
    Field("voice", _CAPABILITIES),
    Field("t120-only", _CAPABILITIES),
    extensible=True,
    known=2,
)
_ENDPOINT_TYPE: Final = Sequence(
    optional("nonStandardData", _NON_STANDARD),
    optional("vendor", _VENDOR),
    optional("gatekeeper", Sequence(optional("nonStandardData", _NON_STANDARD), extensible=True)),
    optional(
        "gateway",
        Sequence(
            optional("protocol", SequenceOf(_SUPPORTED_PROTOCOL)),
            optional("nonStandardData", _NON_STANDARD),
            extensible=True,
        ),
    ),
    optional("mcu", Sequence(optional("nonStandardData", _NON_STANDARD), extensible=True, known=1)),
    optional("terminal", Sequence(optional("nonStandardData", _NON_STANDARD), extensible=True)),
    required("mc, undefinedNode", Bits(2)),
    extensible=True,
    known=2,
)

# Security (H.235)

_SECURITY_MODE: Final = Choice(
    Field("nonStandard", _NON_STANDARD), Field("none", _NULL), Field("default", _NULL), extensible=True
)
_SECURITY_CAPABILITIES: Final = Sequence(
    optional("nonStandard", _NON_STANDARD),
    required("encryption", _SECURITY_MODE),
    required("authenticaton", _SECURITY_MODE),
    required("integrity", _SECURITY_MODE),
    extensible=True,
)
_H245_SECURITY: Final = Choice(
    Field("nonStandard", _NON_STANDARD),
    Field("noSecurity", _NULL),
    Field("tls", _SECURITY_CAPABILITIES),
    Field("ipsec", _SECURITY_CAPABILITIES),
    extensible=True,
)
_CLEAR_TOKEN: Final = Sequence(
    required("tokenOID", _OID),
    optional("timeStamp", LongNumber()),
    optional("password", _IDENTIFIER),
    optional(
        "dhkey",
        Sequence(
            required("halfkey", Sized(WORD, unit=1)),
            required("modSize", Sized(WORD, unit=1)),
            required("generator", Sized(WORD, unit=1)),
            extensible=True,
        ),
    ),
    optional("challenge", Sized(7, least=8)),
    optional("random", _OCTETS),
    optional("certificate", Sequence(required("type", _OID), required("certificate", _OCTETS), extensible=True)),
    optional("generalID", _IDENTIFIER),
    optional("nonStandard", Sequence(required("nonStandardIdentifier", _OID), required("data", _OCTETS))),
    extensible=True,
    known=2,
)
_PARAMETERS: Final = Sequence(optional("ranInt", _OCTETS), optional("iv8", FixedOctets(8)), extensible=True, known=1)
_HASHED: Final = Sequence(
    required("algorithmOID", _OID), required("paramS", _PARAMETERS), required("hash", Sized(LENGTH, unit=1))
)
_ENCRYPTED: Final = Sequence(
    required("algorithmOID", _OID), required("paramS", _PARAMETERS), required("encryptedData", _OCTETS)
)
_SIGNED: Final = Sequence(
    required("toBeSigned", Opaque()),
    required("algorithmOID", _OID),
    required("paramS", _PARAMETERS),
    required("signature", Sized(LENGTH, unit=1)),
)
_CRYPTO_TOKEN: Final = Choice(
    Field(
        "cryptoEPPwdHash",
        Sequence(required("alias", _ALIAS), required("timeStamp", LongNumber()), required("token", _HASHED)),
    ),
    Field(
        "cryptoGKPwdHash",
        Sequence(
            required("gatekeeperId", _IDENTIFIER), required("timeStamp", LongNumber()), required("token", _HASHED)
        ),
    ),
    Field("cryptoEPPwdEncr", _ENCRYPTED),
    Field("cryptoGKPwdEncr", _ENCRYPTED),
    Field("cryptoEPCert", _SIGNED),
    Field("cryptoGKCert", _SIGNED),
    Field("cryptoFastStart", _SIGNED),
    Field(
        "nestedcryptoToken",
        Choice(
            Field("cryptoEncryptedToken", Sequence(required("tokenOID", _OID), required("token", _ENCRYPTED))),
            Field("cryptoSignedToken", Sequence(required("tokenOID", _OID), required("token", _SIGNED))),
            Field(
                "cryptoHashedToken",
                Sequence(required("tokenOID", _OID), required("hashedVals", _CLEAR_TOKEN), required("token", _HASHED)),
            ),
            Field("cryptoPwdEncr", _ENCRYPTED),
            extensible=True,
        ),
    ),
    extensible=True,
)

# Call signalling

# Each element is an encoded OpenLogicalChannel; the kernel remembers thirty.
_FAST_START: Final = SequenceOf(OPEN_LOGICAL_CHANNEL, limit=30, opened=True)
_CALL_TYPE: Final = Choice(
    Field("pointToPoint", _NULL),
    Field("oneToN", _NULL),
    Field("nToOne", _NULL),
    Field("nToN", _NULL),
    extensible=True,
)
_SETUP: Final = Sequence(
    required("protocolIdentifier", _OID),
    optional("h245Address", _TRANSPORT_ADDRESS),
    optional("sourceAddress", _ALIASES),
    required("sourceInfo", _ENDPOINT_TYPE),
    optional("destinationAddress", _ALIASES),
    optional("destCallSignalAddress", _TRANSPORT_ADDRESS),
    optional("destExtraCallInfo", _ALIASES),
    optional("destExtraCRV", SequenceOf(Number(2))),
    required("activeMC", _BOOLEAN),
    required("conferenceID", _GUID),
    required(
        "conferenceGoal",
        Choice(Field("create", _NULL), Field("join", _NULL), Field("invite", _NULL), extensible=True, known=2),
    ),
    optional(
        "callServices",
        Sequence(
            required("q932Full … q957Full", Bits(7)),
            required(
                "q954Info",
                Sequence(required("conferenceCalling, threePartyService", Bits(2)), extensible=True),
            ),
            extensible=True,
        ),
    ),
    required("callType", _CALL_TYPE),
    extensible=True,
    known=26,
    additions={
        0: Addition("sourceCallSignalAddress", _TRANSPORT_ADDRESS),
        6: Addition("fastStart", _FAST_START),
    },
    unread_from=9,
)
_CALL_PROCEEDING: Final = Sequence(
    required("protocolIdentifier", _OID),
    required("destinationInfo", _ENDPOINT_TYPE),
    optional("h245Address", _TRANSPORT_ADDRESS),
    extensible=True,
    known=9,
    additions={4: Addition("fastStart", _FAST_START)},
)
_CONNECT: Final = Sequence(
    required("protocolIdentifier", _OID),
    optional("h245Address", _TRANSPORT_ADDRESS),
    required("destinationInfo", _ENDPOINT_TYPE),
    required("conferenceID", _GUID),
    extensible=True,
    known=15,
    additions={4: Addition("fastStart", _FAST_START)},
)
_ALERTING: Final = Sequence(
    required("protocolIdentifier", _OID),
    required("destinationInfo", _ENDPOINT_TYPE),
    optional("h245Address", _TRANSPORT_ADDRESS),
    extensible=True,
    known=14,
    additions={4: Addition("fastStart", _FAST_START)},
)
_INFORMATION: Final = Sequence(required("protocolIdentifier", _OID), extensible=True, known=6)
_RELEASE_COMPLETE: Final = Sequence(
    required("protocolIdentifier", _OID),
    optional(
        "reason",
        Choice(
            *(
                Field(name, _NULL)
                for name in (
                    "noBandwidth",
                    "gatekeeperResources",
                    "unreachableDestination",
                    "destinationRejection",
                    "invalidRevision",
                    "noPermission",
                    "unreachableGatekeeper",
                    "gatewayResources",
                    "badFormatAddress",
                    "adaptiveBusy",
                    "inConf",
                    "undefinedReason",
                )
            ),
            extensible=True,
            known=10,
        ),
    ),
    extensible=True,
    known=9,
)
_FACILITY: Final = Sequence(
    required("protocolIdentifier", _OID),
    optional("alternativeAddress", _TRANSPORT_ADDRESS),
    optional("alternativeAliasAddress", _ALIASES),
    optional("conferenceID", _GUID),
    required(
        "reason",
        Choice(
            Field("routeCallToGatekeeper", _NULL),
            Field("callForwarded", _NULL),
            Field("routeCallToMC", _NULL),
            Field("undefinedReason", _NULL),
            extensible=True,
            known=7,
        ),
    ),
    extensible=True,
    known=16,
    additions={
        6: Addition("h245Address", _TRANSPORT_ADDRESS),
        7: Addition("fastStart", _FAST_START),
    },
)
_PROGRESS: Final = Sequence(
    required("protocolIdentifier", _OID),
    required("destinationInfo", _ENDPOINT_TYPE),
    optional("h245Address", _TRANSPORT_ADDRESS),
    required("callIdentifier", Sequence(required("guid", _GUID), extensible=True)),
    optional("h245SecurityMode", _H245_SECURITY),
    optional("tokens", SequenceOf(_CLEAR_TOKEN)),
    optional("cryptoTokens", SequenceOf(_CRYPTO_TOKEN)),
    optional("fastStart", _FAST_START),
    extensible=True,
    known=3,
)

#: H323-UserInformation: what the user-user element of a Q.931 message holds.
USER_INFORMATION: Final = Sequence(
    required(
        "h323-uu-pdu",
        Sequence(
            required(
                "h323-message-body",
                Choice(
                    Field("setup", _SETUP),
                    Field("callProceeding", _CALL_PROCEEDING),
                    Field("connect", _CONNECT),
                    Field("alerting", _ALERTING),
                    Field("information", _INFORMATION),
                    Field("releaseComplete", _RELEASE_COMPLETE),
                    Field("facility", _FACILITY),
                    extensible=True,
                    known=6,
                    additions={0: Addition("progress", _PROGRESS)},
                ),
            ),
            optional("nonStandardData", _NON_STANDARD),
            extensible=True,
            known=9,
            # H.245 messages on the way of the call signalling; the kernel remembers four.
            additions={2: Addition("h245Control", SequenceOf(CONTROL_MESSAGE, limit=4, opened=True))},
            unread_from=3,
        ),
    ),
    extensible=True,
    options=1,
)

# Registration, admission and status (RAS)

_CALL_MODEL: Final = Choice(Field("direct", _NULL), Field("gatekeeperRouted", _NULL), extensible=True)
_GATEKEEPER_REQUEST: Final = Sequence(
    required("requestSeqNum", _SEQUENCE_NUMBER),
    required("protocolIdentifier", _OID),
    optional("nonStandardData", _NON_STANDARD),
    required("rasAddress", _TRANSPORT_ADDRESS),
    extensible=True,
    options=4,
)
_GATEKEEPER_CONFIRM: Final = Sequence(
    required("requestSeqNum", _SEQUENCE_NUMBER),
    required("protocolIdentifier", _OID),
    optional("nonStandardData", _NON_STANDARD),
    optional("gatekeeperIdentifier", _IDENTIFIER),
    required("rasAddress", _TRANSPORT_ADDRESS),
    extensible=True,
    known=9,
    unread_from=0,
)
_REGISTRATION_REQUEST: Final = Sequence(
    required("requestSeqNum", _SEQUENCE_NUMBER),
    required("protocolIdentifier", _OID),
    optional("nonStandardData", _NON_STANDARD),
    required("discoveryComplete", _BOOLEAN),
    required("callSignalAddress", _TRANSPORT_ADDRESSES),
    required("rasAddress", _TRANSPORT_ADDRESSES),
    required("terminalType", _ENDPOINT_TYPE),
    optional("terminalAlias", _ALIASES),
    optional("gatekeeperIdentifier", _IDENTIFIER),
    required("endpointVendor", _VENDOR),
    extensible=True,
    known=21,
    additions={1: Addition("timeToLive", Seconds())},
    unread_from=2,
)
_REGISTRATION_CONFIRM: Final = Sequence(
    required("requestSeqNum", _SEQUENCE_NUMBER),
    required("protocolIdentifier", _OID),
    optional("nonStandardData", _NON_STANDARD),
    required("callSignalAddress", _TRANSPORT_ADDRESSES),
    optional("terminalAlias", _ALIASES),
    optional("gatekeeperIdentifier", _IDENTIFIER),
    required("endpointIdentifier", _IDENTIFIER),
    extensible=True,
    known=17,
    additions={1: Addition("timeToLive", Seconds())},
    unread_from=2,
)
_UNREGISTRATION_REQUEST: Final = Sequence(
    required("requestSeqNum", _SEQUENCE_NUMBER),
    required("callSignalAddress", _TRANSPORT_ADDRESSES),
    extensible=True,
    options=3,
)
_ADMISSION_REQUEST: Final = Sequence(
    required("requestSeqNum", _SEQUENCE_NUMBER),
    required("callType", _CALL_TYPE),
    optional("callModel", _CALL_MODEL),
    required("endpointIdentifier", _IDENTIFIER),
    optional("destinationInfo", _ALIASES),
    optional("destCallSignalAddress", _TRANSPORT_ADDRESS),
    optional("destExtraCallInfo", _ALIASES),
    required("srcInfo", _ALIASES),
    optional("srcCallSignalAddress", _TRANSPORT_ADDRESS),
    extensible=True,
    options=7,
)
_ADMISSION_CONFIRM: Final = Sequence(
    required("requestSeqNum", _SEQUENCE_NUMBER),
    required("bandWidth", LongNumber()),
    required("callModel", _CALL_MODEL),
    required("destCallSignalAddress", _TRANSPORT_ADDRESS),
    extensible=True,
    options=2,
)
_LOCATION_REQUEST: Final = Sequence(
    required("requestSeqNum", _SEQUENCE_NUMBER),
    optional("endpointIdentifier", _IDENTIFIER),
    required("destinationInfo", _ALIASES),
    optional("nonStandardData", _NON_STANDARD),
    required("replyAddress", _TRANSPORT_ADDRESS),
    extensible=True,
    known=12,
    unread_from=0,
)
_LOCATION_CONFIRM: Final = Sequence(
    required("requestSeqNum", _SEQUENCE_NUMBER),
    required("callSignalAddress", _TRANSPORT_ADDRESS),
    required("rasAddress", _TRANSPORT_ADDRESS),
    extensible=True,
    options=1,
)
_INFO_REQUEST_RESPONSE: Final = Sequence(
    optional("nonStandardData", _NON_STANDARD),
    required("requestSeqNum", _SEQUENCE_NUMBER),
    required("endpointType", _ENDPOINT_TYPE),
    required("endpointIdentifier", _IDENTIFIER),
    required("rasAddress", _TRANSPORT_ADDRESS),
    required("callSignalAddress", _TRANSPORT_ADDRESSES),
    extensible=True,
    options=3,
)

#: RasMessage: what goes between endpoint and gatekeeper.
RAS_MESSAGE: Final = Choice(
    Field("gatekeeperRequest", _GATEKEEPER_REQUEST),
    Field("gatekeeperConfirm", _GATEKEEPER_CONFIRM),
    Field("gatekeeperReject", None),
    Field("registrationRequest", _REGISTRATION_REQUEST),
    Field("registrationConfirm", _REGISTRATION_CONFIRM),
    Field("registrationReject", None),
    Field("unregistrationRequest", _UNREGISTRATION_REQUEST),
    Field("unregistrationConfirm", None),
    Field("unregistrationReject", None),
    Field("admissionRequest", _ADMISSION_REQUEST),
    Field("admissionConfirm", _ADMISSION_CONFIRM),
    Field("admissionReject", None),
    Field("bandwidthRequest", None),
    Field("bandwidthConfirm", None),
    Field("bandwidthReject", None),
    Field("disengageRequest", None),
    Field("disengageConfirm", None),
    Field("disengageReject", None),
    Field("locationRequest", _LOCATION_REQUEST),
    Field("locationConfirm", _LOCATION_CONFIRM),
    Field("locationReject", None),
    Field("infoRequest", None),
    Field("infoRequestResponse", _INFO_REQUEST_RESPONSE),
    Field("nonStandardMessage", None),
    extensible=True,
    known=8,
    unread_additions=True,
)
