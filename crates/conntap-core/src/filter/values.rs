//! Values of tests: numbers, ports, addresses, states, labels.

use std::net::IpAddr;

use super::Resolve;
use super::ast::{Field, Net, Ranges};
use super::error::{FilterError, Span};
use super::lex::{Compare, Kind, Token};
use super::words::{self, WORDS, Word};
use crate::model::names::{DCCP_STATES, SCTP_STATES, TCP_STATES};

/// The highest label bit (XT_CONNLABEL_MAXBIT).
const MAX_LABEL: u64 = 127;
/// State numbers are kept as bits of a u16; the kernel's highest is 9.
const MAX_STATE: u64 = 15;

/// `N`, `LOW-HIGH` or `N/MASK`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub low: u64,
    pub high: u64,
    pub mask: Option<u64>,
}

impl Item {
    fn one(value: u64) -> Self {
        Self { low: value, high: value, mask: None }
    }
}

/// A number of `field`.
pub(crate) fn number(field: Field, text: &str, span: Span, resolve: &dyn Resolve) -> Result<Item, FilterError> {
    if field == Field::L4proto
        && let Some(number) = words::protocol(text).or_else(|| resolve.protocol(text))
    {
        return Ok(Item::one(number.into()));
    }
    if field == Field::Status
        && let Some(Word::Status(mask, value)) = words::lookup(text)
    {
        return Ok(Item { low: value.into(), high: value.into(), mask: Some(mask.into()) });
    }
    if let Some((value, mask)) = text.split_once('/') {
        if !field.takes_mask() {
            return Err(FilterError::new(format!("'{}' takes no mask", field.name()), span));
        }
        return match (plain(value), plain(mask)) {
            (Some(value), Some(mask)) if value.max(mask) <= field.max() => {
                Ok(Item { low: value, high: value, mask: Some(mask) })
            }
            _ => Err(FilterError::new(format!("'{text}' is no value and mask"), span).hint("as in 0x10/0xff")),
        };
    }
    range(text).ok_or_else(|| {
        let error = FilterError::new(format!("'{text}' is no number"), span);
        match field {
            Field::L4proto => {
                FilterError::new(format!("unknown protocol '{text}'"), span).hint("a number from 0 to 255 is taken too")
            }
            _ if text.starts_with('-') => error.hint("no field is below 0"),
            _ => error.hint("decimal, 0x for hexadecimal, k M G T for thousands, Ki Mi Gi Ti for 1024s"),
        }
    })
}

/// A port, a range of ports, or a service's name.
pub(crate) fn port(text: &str, span: Span, resolve: &dyn Resolve) -> Result<Item, FilterError> {
    if let Some(item) = range(text) {
        return if item.high <= u16::MAX.into() {
            Ok(item)
        } else {
            Err(FilterError::new(format!("{} is no port: they end at 65535", item.high), span))
        };
    }
    if let Some(port) = resolve.service(text) {
        return Ok(Item::one(port.into()));
    }
    let error = FilterError::new(format!("unknown service '{text}'"), span);
    Err(if text.contains([':', '-']) && text.chars().any(|c| c.is_ascii_digit()) {
        FilterError::new(format!("'{text}' is no port"), span).hint("a range is LOW-HIGH with LOW not above HIGH")
    } else if text.contains(['/', '.']) {
        FilterError::new(format!("'{text}' is no port"), span)
    } else if let Some(word) = words::nearest(text, WORDS.iter().map(|(name, _)| *name)) {
        error.hint(format!("did you mean '{word}'?"))
    } else {
        error.hint("write the port's number")
    })
}

/// The numbers for which `compare` holds against one of `items`.
pub(crate) fn ranges(compare: Compare, items: &[Item], span: Span) -> Result<Ranges, FilterError> {
    let all = Ranges::new(items.iter().map(|item| (item.low, item.high)).collect());
    if compare == Compare::Equal {
        return Ok(all);
    }
    if compare == Compare::NotEqual {
        return Ok(all.complement());
    }
    let Some(value) = all.single() else {
        return Err(FilterError::new("only one number can be compared by order", span));
    };
    let part = match compare {
        Compare::Less => value.checked_sub(1).map(|high| (0, high)),
        Compare::LessEqual => Some((0, value)),
        Compare::Greater => value.checked_add(1).map(|low| (low, u64::MAX)),
        _ => Some((value, u64::MAX)),
    };
    Ok(Ranges::new(part.into_iter().collect()))
}

fn range(text: &str) -> Option<Item> {
    match text.split_once('-') {
        Some((low, high)) => {
            let (low, high) = (plain(low)?, plain(high)?);
            (low <= high).then_some(Item { low, high, mask: None })
        }
        None => plain(text).map(Item::one),
    }
}

/// A number: decimal with an optional suffix, or hexadecimal.
fn plain(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let sound = digits.chars().all(|c| c.is_ascii_hexdigit());
        return if sound { u64::from_str_radix(digits, 16).ok() } else { None };
    }
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, suffix) = text.split_at_checked(end)?;
    let factor: u64 = match suffix {
        "" => 1,
        "k" | "K" => 1_000,
        "m" | "M" => 1_000_000,
        "g" | "G" => 1_000_000_000,
        "t" | "T" => 1_000_000_000_000,
        "ki" | "Ki" => 1 << 10,
        "mi" | "Mi" => 1 << 20,
        "gi" | "Gi" => 1 << 30,
        "ti" | "Ti" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

pub(crate) fn looks_like_address(text: &str) -> bool {
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    address.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

/// `A`, `A/LENGTH`, `A/MASK`, or `A` with the token behind `mask`.
pub(crate) fn net(text: &str, span: Span, mask: Option<&Token>) -> Result<Net, FilterError> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(found) = address.trim_matches(['[', ']']).parse::<IpAddr>() else {
        return Err(no_address(address, span));
    };
    let family = || FilterError::new("address and mask are of different families", span);
    match (length, mask) {
        (Some(_), Some(mask)) => Err(FilterError::new("a prefix length and a mask are one too many", mask.span)),
        (None, Some(Token { kind: Kind::Word(text), span })) => match text.parse::<IpAddr>() {
            Ok(mask) => Net::new(found, mask).ok_or_else(family),
            Err(_) => Err(FilterError::new(format!("'{text}' is no mask"), *span).hint("as in 255.0.255.0 or ffff::")),
        },
        (None, Some(token)) => Err(FilterError::new("a mask is missing here", token.span)),
        (None, None) => Net::new(found, all_ones(found)).ok_or_else(family),
        (Some(length), None) => match (length.parse::<u32>(), length.parse::<IpAddr>()) {
            (Ok(bits), _) => Net::prefix(found, bits).ok_or_else(|| {
                let most = if found.is_ipv4() { 32 } else { 128 };
                FilterError::new(format!("/{bits} is too long a prefix: this family ends at /{most}"), span)
            }),
            (_, Ok(mask)) => Net::new(found, mask).ok_or_else(family),
            _ => Err(FilterError::new(format!("'/{length}' is no prefix length"), span).hint("as in 10.0.0.0/8")),
        },
    }
}

fn all_ones(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::from([0xff; 4]),
        IpAddr::V6(_) => IpAddr::from([0xff; 16]),
    }
}

fn no_address(text: &str, span: Span) -> FilterError {
    let error = FilterError::new(format!("'{text}' is no address"), span);
    let dots = text.matches('.').count();
    if text.chars().all(|c| c.is_ascii_digit() || c == '.') && dots < 3 {
        return error.hint("write all four parts, and a prefix length for a net: 10.1.0.0/16");
    }
    if dots == 3 && text.contains(':') {
        return error.hint("ports are a test of their own: 'src A sport N'");
    }
    if text.contains('-') && dots >= 3 {
        return error.hint("ranges of addresses are written as prefixes: 10.0.0.0/28,10.0.0.16/29");
    }
    if text.contains('.') {
        return error.hint("names are not looked up: write the address");
    }
    match words::nearest(text, WORDS.iter().map(|(name, _)| *name)) {
        Some(word) => error.hint(format!("did you mean '{word}'?")),
        None => error,
    }
}

/// Where NAT leads: `A`, `A/LEN`, `A:PORT`, `[A]:PORT`; the port may be a range.
pub(crate) fn target(text: &str, span: Span) -> Result<(Net, Option<(u64, u64)>), FilterError> {
    let (address, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else {
            return Err(FilterError::new("'[' without ']'", span).hint("as in [2001:db8::1]:80"));
        };
        match rest.strip_prefix(':') {
            Some(port) => (address, Some(port)),
            None if rest.is_empty() => (address, None),
            None => return Err(FilterError::new(format!("'{rest}' is no port"), span).hint("as in [2001:db8::1]:80")),
        }
    } else if text.matches(':').count() == 1 {
        text.split_once(':').map_or((text, None), |(address, port)| (address, Some(port)))
    } else {
        (text, None)
    };
    let net = net(address, span, None)?;
    let Some(port) = port else { return Ok((net, None)) };
    match range(port) {
        Some(item) if item.high <= u16::MAX.into() => Ok((net, Some((item.low, item.high)))),
        _ => Err(FilterError::new(format!("'{port}' is no port"), span).hint("a number from 0 to 65535")),
    }
}

/// A state by name or number: bits for TCP, SCTP, DCCP.
pub(crate) fn state(text: &str, span: Span, wanted: [bool; 3]) -> Result<[u16; 3], FilterError> {
    let bit = |number: usize| u32::try_from(number).ok().and_then(|number| 1u16.checked_shl(number)).unwrap_or(0);
    let mut masks = [0u16; 3];
    if let Some(number) = plain(text) {
        if number > MAX_STATE {
            return Err(FilterError::new(format!("{number} is no state: they end at {MAX_STATE}"), span));
        }
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        masks = wanted.map(|wanted| if wanted { bit(number) } else { 0 });
        return Ok(masks);
    }
    let name = words::normal(text).to_ascii_uppercase();
    // What 1.4's `conntrack` still calls SYN_SENT2.
    let name = if name == "LISTEN" { "SYN_SENT2" } else { &name };
    for ((mask, names), wanted) in masks.iter_mut().zip([TCP_STATES, SCTP_STATES, DCCP_STATES]).zip(wanted) {
        if let Some(number) = names.iter().position(|known| wanted && *known == name) {
            *mask = bit(number);
        }
    }
    if masks != [0; 3] {
        return Ok(masks);
    }
    let error = FilterError::new(format!("unknown state '{text}'"), span);
    Err(match words::lookup(text) {
        Some(Word::Kinds(_) | Word::Status(..)) => {
            error.hint(format!("'{text}' is a test of its own, without 'state' before it"))
        }
        _ => match words::nearest(text, TCP_STATES.into_iter().chain(SCTP_STATES).chain(DCCP_STATES)) {
            Some(name) => error.hint(format!("did you mean '{}'?", name.to_ascii_lowercase())),
            None => error,
        },
    })
}

/// The canonical name of a state of any protocol.
pub(crate) fn state_name(text: &str) -> Option<String> {
    let name = words::normal(text);
    let known = TCP_STATES.into_iter().chain(SCTP_STATES).chain(DCCP_STATES);
    known.map(str::to_ascii_lowercase).find(|known| *known == name)
}

/// A label by bit or name.
pub(crate) fn label(text: &str, span: Span, resolve: &dyn Resolve) -> Result<u8, FilterError> {
    let bit = match plain(text) {
        Some(bit) => bit,
        None => match resolve.label(text) {
            Some(bit) => bit.into(),
            None => {
                return Err(FilterError::new(format!("unknown label '{text}'"), span)
                    .hint("names come from connlabel.conf; a bit number from 0 to 127 is taken too"));
            }
        },
    };
    match u8::try_from(bit) {
        Ok(number) if bit <= MAX_LABEL => Ok(number),
        _ => Err(FilterError::new(format!("{bit} is no label: they end at {MAX_LABEL}"), span)),
    }
}
