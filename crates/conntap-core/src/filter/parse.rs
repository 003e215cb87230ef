//! The grammar: tokens into a tree of tests.
//!
//! ```text
//! or    = and { ("or" | "||") and }
//! and   = not { ["and" | "&&"] not }
//! not   = { "not" | "!" } list
//! list  = test { "," test }              any of; binds tighter than and, not
//! test  = "(" or ")" | keyword [comparison] [value { "," value }]
//! ```

use super::Resolve;
use super::ast::{Ends, Field, Net, Node, Ranges, States, Test};
use super::error::{FilterError, Span};
use super::lex::{Compare, Kind, Token, tokens};
use super::values::{self, Item};
use super::words::{self, WORDS, Word};

/// How deep parentheses may nest.
const MAX_DEPTH: usize = 64;

/// Parse a filter text; blank text is everything.
pub(crate) fn parse(text: &str, resolve: &dyn Resolve) -> Result<Node, FilterError> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, resolve };
    if parser.peek().kind == Kind::End {
        return Ok(Node::Const(true));
    }
    let node = parser.or(0)?;
    let token = parser.peek();
    match token.kind {
        Kind::End => Ok(node),
        Kind::Close => Err(FilterError::new("')' without '('", token.span)),
        _ => Err(FilterError::new("this does not belong here", token.span)
            .hint("join tests by 'and' or 'or'; a comparison follows a field, as in 'timeout < 30'")),
    }
}

struct Parser<'r> {
    tokens: Vec<Token>,
    at: usize,
    resolve: &'r dyn Resolve,
}

impl Parser<'_> {
    fn ahead(&self, by: usize) -> Token {
        let end = Token { kind: Kind::End, span: Span::default() };
        self.tokens.get(self.at.saturating_add(by)).or(self.tokens.last()).cloned().unwrap_or(end)
    }

    fn peek(&self) -> Token {
        self.ahead(0)
    }

    fn advance(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn take(&mut self) -> Token {
        let token = self.peek();
        self.advance();
        token
    }

    /// Take the next token if it is this keyword.
    fn take_word(&mut self, word: Word) -> bool {
        let found = self.keyword(0) == Some(word);
        if found {
            self.advance();
        }
        found
    }

    /// The keyword `by` tokens ahead.
    fn keyword(&self, by: usize) -> Option<Word> {
        match self.ahead(by).kind {
            Kind::Word(text) => words::lookup(&text),
            _ => None,
        }
    }

    fn or(&mut self, depth: usize) -> Result<Node, FilterError> {
        let mut parts = vec![self.and(depth)?];
        while self.peek().kind == Kind::Or || self.keyword(0) == Some(Word::Or) {
            self.advance();
            parts.push(self.and(depth)?);
        }
        Ok(Node::or(parts))
    }

    fn and(&mut self, depth: usize) -> Result<Node, FilterError> {
        let mut parts = vec![self.not(depth)?];
        loop {
            match self.peek().kind {
                Kind::And => self.advance(),
                Kind::Word(_) => match self.keyword(0) {
                    Some(Word::And) => self.advance(),
                    Some(Word::Or) => break,
                    _ => {}
                },
                Kind::Open | Kind::Not => {}
                _ => break,
            }
            parts.push(self.not(depth)?);
        }
        Ok(Node::and(parts))
    }

    fn not(&mut self, depth: usize) -> Result<Node, FilterError> {
        let mut negated = false;
        while self.peek().kind == Kind::Not || self.keyword(0) == Some(Word::Not) {
            self.advance();
            negated = !negated;
        }
        let node = self.list(depth)?;
        Ok(if negated { node.negate() } else { node })
    }

    fn list(&mut self, depth: usize) -> Result<Node, FilterError> {
        let mut parts = vec![self.test(depth)?];
        while self.peek().kind == Kind::Comma {
            self.advance();
            if self.peek().kind == Kind::Not || self.keyword(0) == Some(Word::Not) {
                return Err(FilterError::new("'not' inside a comma list could mean two things", self.peek().span)
                    .hint("put it before the whole list, or write 'or' and parentheses"));
            }
            parts.push(self.test(depth)?);
        }
        Ok(Node::or(parts))
    }

    fn test(&mut self, depth: usize) -> Result<Node, FilterError> {
        let token = self.take();
        match &token.kind {
            Kind::Open if depth >= MAX_DEPTH => {
                Err(FilterError::new(format!("parentheses nest deeper than {MAX_DEPTH}"), token.span))
            }
            Kind::Open => {
                let node = self.or(depth.saturating_add(1))?;
                let close = self.take();
                match close.kind {
                    Kind::Close => Ok(node),
                    Kind::End => Err(FilterError::new("'(' without ')'", token.span)),
                    _ => Err(FilterError::new("this does not belong here", close.span)
                        .hint("join tests by 'and' or 'or', close with ')'")),
                }
            }
            Kind::Word(text) => match words::lookup(text) {
                Some(word) => self.keyword_test(word, text, token.span),
                None => Err(unknown_word(text, token.span)),
            },
            Kind::Quoted(text) => {
                Err(FilterError::new(format!("'{text}' in quotes is a name, not a test"), token.span)
                    .hint("say what bears the name, as in 'helper \"ftp\"'"))
            }
            Kind::End => Err(FilterError::new("the filter ends too early", token.span)
                .hint("a test is missing here; for everything leave the filter empty")),
            Kind::Compare(_) => {
                Err(FilterError::new("a comparison without a field before it", token.span).hint("as in 'timeout < 30'"))
            }
            Kind::Close => Err(FilterError::new("a test is missing before ')'", token.span)),
            Kind::Comma => Err(FilterError::new("a test is missing before ','", token.span)),
            Kind::And | Kind::Or | Kind::Not => Err(FilterError::new("a test is missing here", token.span)),
        }
    }

    fn keyword_test(&mut self, word: Word, text: &str, span: Span) -> Result<Node, FilterError> {
        Ok(match word {
            Word::Kinds(kinds) => Node::Test(Test::Kinds(kinds)),
            Word::Family(family) => Node::Test(Test::Family(family)),
            Word::Proto(number) => Node::number(Field::L4proto, Ranges::one(number.into())),
            Word::End(ends) => {
                if let Some(Word::Port(_)) = self.keyword(0) {
                    self.advance();
                    self.ports(ends)?
                } else {
                    self.take_word(Word::Host);
                    self.addresses(ends)?
                }
            }
            Word::Host => self.addresses(Ends::ALL)?,
            Word::Port(ends) => self.ports(ends)?,
            Word::Direction { reply } => self.directed(reply, text, span)?,
            Word::Number(field) => self.numbers(field)?,
            Word::Status(mask, value) => Node::bits(Field::Status, mask.into(), value.into()),
            Word::State { tcp, sctp, dccp } => self.states(text, [tcp, sctp, dccp])?,
            Word::Label => self.labels()?,
            Word::Helper => self.helper()?,
            Word::Master => Node::Test(Test::Master),
            Word::Snat => self.nat(true, false)?,
            Word::Dnat => self.nat(false, true)?,
            Word::Nat => self.nat(true, true)?,
            Word::From => self.from()?,
            Word::And | Word::Or | Word::Not => {
                return Err(FilterError::new(format!("a test is missing beside '{text}'"), span));
            }
            Word::To => {
                return Err(FilterError::new("'to' stands behind 'snat', 'dnat' or 'nat'", span)
                    .hint("write 'dst' for a destination address"));
            }
            Word::Mask => {
                return Err(FilterError::new("'mask' stands behind an address", span)
                    .hint("as in 'src 10.0.0.1 mask 255.0.255.0'"));
            }
        })
    }

    /// What follows `orig` or `reply`.
    fn directed(&mut self, reply: bool, text: &str, span: Span) -> Result<Node, FilterError> {
        let all = if reply { Ends::REPLY } else { Ends::ORIG };
        let turn = |ends: Ends| match ends {
            Ends::SRC if reply => Some(Ends::REPLY_SRC),
            Ends::DST if reply => Some(Ends::REPLY_DST),
            Ends::ALL => Some(all),
            Ends::SRC | Ends::DST => Some(ends),
            _ => None,
        };
        let pick = |orig, answer| if reply { answer } else { orig };
        let word = match self.keyword(0) {
            Some(Word::End(ends)) => turn(ends).map(Word::End),
            Some(Word::Port(ends)) => turn(ends).map(Word::Port),
            Some(Word::Host) => {
                self.advance();
                return self.addresses(all);
            }
            Some(Word::Number(field)) => match field {
                Field::Zone => Some(pick(Field::OrigZone, Field::ReplyZone)),
                Field::Packets => Some(pick(Field::OrigPackets, Field::ReplyPackets)),
                Field::Bytes => Some(pick(Field::OrigBytes, Field::ReplyBytes)),
                _ => None,
            }
            .map(Word::Number),
            _ => None,
        };
        match word {
            Some(word) => {
                let token = self.take();
                self.keyword_test(word, text, token.span)
            }
            None => Err(FilterError::new(format!("'{text}' needs to know what of that direction"), span)
                .hint("one of src, dst, host, sport, dport, port, zone, packets, bytes must follow")),
        }
    }

    /// An optional comparison; none means equal.
    fn compare(&mut self) -> Compare {
        match self.peek().kind {
            Kind::Compare(compare) => {
                self.advance();
                compare
            }
            _ => Compare::Equal,
        }
    }

    /// One or more values separated by commas. A comma before a keyword ends the list: it joins tests.
    fn values<T>(
        &mut self,
        what: &str,
        extra: impl Fn(Word) -> bool,
        mut one: impl FnMut(&mut Self, &str, Span) -> Result<T, FilterError>,
    ) -> Result<Vec<(T, Span)>, FilterError> {
        let mut out = Vec::new();
        loop {
            let token = self.take();
            let (Kind::Word(text) | Kind::Quoted(text)) = &token.kind else {
                return Err(FilterError::new(format!("{what} is missing here"), token.span));
            };
            out.push((one(self, text, token.span)?, token.span));
            if self.peek().kind != Kind::Comma {
                return Ok(out);
            }
            match (&self.ahead(1).kind, self.keyword(1)) {
                (Kind::Word(_), Some(word)) if !extra(word) => return Ok(out),
                (Kind::Word(_) | Kind::Quoted(_), _) => self.advance(),
                _ => return Ok(out),
            }
        }
    }

    fn numbers(&mut self, field: Field) -> Result<Node, FilterError> {
        let (span, compare) = (self.peek().span, self.compare());
        let resolve = self.resolve;
        let extra = |word| field == Field::L4proto && matches!(word, Word::Proto(_));
        let what = if field == Field::L4proto { "a protocol" } else { "a number" };
        let items = self.values(what, extra, |_, text, span| values::number(field, text, span, resolve))?;
        if let Some((item, span)) = items.iter().find(|(item, _)| item.high > field.max() && item.mask.is_none()) {
            return Err(FilterError::new(
                format!("{} is too large: '{}' ends at {}", item.high, field.name(), field.max()),
                *span,
            ));
        }
        let masked = items.iter().filter_map(|(item, _)| Some((item.mask?, Ranges::new(vec![(item.low, item.high)]))));
        let plain: Vec<_> = items.iter().map(|(item, _)| item).filter(|item| item.mask.is_none()).cloned().collect();
        if matches!(compare, Compare::Equal | Compare::NotEqual) {
            let mut parts = Vec::new();
            if !plain.is_empty() {
                parts.push((u64::MAX, values::ranges(Compare::Equal, &plain, span)?));
            }
            parts.extend(masked);
            let test = |(mask, ranges)| Node::Test(Test::Number { field, mask, ranges });
            return Ok(match compare {
                Compare::Equal => Node::or(parts.into_iter().map(test).collect()),
                // `!=` of a list: none of them.
                _ => Node::and(parts.into_iter().map(|(mask, ranges)| test((mask, ranges.complement()))).collect()),
            });
        }
        if plain.len() != items.len() {
            return Err(FilterError::new("a mask goes with '=' and '!=' only", span));
        }
        Ok(Node::number(field, values::ranges(compare, &plain, span)?))
    }

    fn ports(&mut self, ends: Ends) -> Result<Node, FilterError> {
        let (span, compare) = (self.peek().span, self.compare());
        if compare == Compare::NotEqual && !ends.is_single() {
            return Err(FilterError::new("'!=' would hold if any one of several ports differs", span)
                .hint("write 'not port N'"));
        }
        let resolve = self.resolve;
        let items: Vec<Item> = self
            .values("a port", |_| false, |_, text, span| values::port(text, span, resolve))?
            .into_iter()
            .map(|(item, _)| item)
            .collect();
        Ok(Node::Test(Test::Port { ends, ranges: values::ranges(compare, &items, span)? }))
    }

    fn addresses(&mut self, ends: Ends) -> Result<Node, FilterError> {
        let (span, compare) = (self.peek().span, self.compare());
        let negated = match compare {
            Compare::Equal => false,
            Compare::NotEqual => true,
            _ => return Err(FilterError::new("addresses have no order", span).hint("write a prefix, as in 10.0.0.0/8")),
        };
        if negated {
            // `src != A` would have to be false where there is no address; `not src A` says what is meant.
            return Err(FilterError::new("addresses are compared by name only", span).hint("write 'not src A'"));
        }
        let nets: Vec<Net> = self
            .values(
                "an address",
                |_| false,
                |parser, text, span| {
                    let mask = if parser.take_word(Word::Mask) { Some(parser.take()) } else { None };
                    values::net(text, span, mask.as_ref())
                },
            )?
            .into_iter()
            .map(|(net, _)| net)
            .collect();
        Ok(Node::Test(Test::Address { ends, nets: nets.into() }))
    }

    fn states(&mut self, keyword: &str, [tcp, sctp, dccp]: [bool; 3]) -> Result<Node, FilterError> {
        if self.peek().kind == Kind::Compare(Compare::Equal) {
            self.advance();
        }
        let mut states = States { tcp: 0, sctp: 0, dccp: 0, text: "".into() };
        let mut text = words::normal(keyword);
        let values = self.values(
            "a state",
            |_| false,
            |_, text, span| values::state(text, span, [tcp, sctp, dccp]).map(|state| (state, text.to_owned())),
        )?;
        for (at, ((masks, name), _)) in values.iter().enumerate() {
            states.tcp |= masks[0];
            states.sctp |= masks[1];
            states.dccp |= masks[2];
            text.push(if at == 0 { ' ' } else { ',' });
            text.push_str(&words::normal(name));
        }
        states.text = text.into();
        Ok(Node::Test(Test::State(states)))
    }

    fn labels(&mut self) -> Result<Node, FilterError> {
        let resolve = self.resolve;
        let labels = self.values("a label", |_| false, |_, text, span| values::label(text, span, resolve))?;
        Ok(Node::or(labels.into_iter().map(|(bit, _)| Node::Test(Test::Label(bit))).collect()))
    }

    /// `helper` alone asks whether there is one.
    fn helper(&mut self) -> Result<Node, FilterError> {
        let named = match self.peek().kind {
            Kind::Quoted(_) => true,
            Kind::Word(_) => self.keyword(0).is_none(),
            _ => false,
        };
        if !named {
            return Ok(Node::Test(Test::Helper(None)));
        }
        let names = self.values("a helper's name", |_| false, |_, text, _| Ok(text.to_owned()))?;
        Ok(Node::or(names.into_iter().map(|(name, _)| Node::Test(Test::Helper(Some(name.into())))).collect()))
    }

    /// `snat`, `dnat`, `nat`, each with `to ADDRESS[:PORT]` if wanted.
    ///
    /// The new source is the reply's destination, the new destination the reply's source.
    fn nat(&mut self, snat: bool, dnat: bool) -> Result<Node, FilterError> {
        let targets = if self.take_word(Word::To) {
            self.values("an address", |_| false, |_, text, span| values::target(text, span))?
        } else {
            Vec::new()
        };
        let mut parts = Vec::new();
        for (wanted, dst, end) in [(snat, false, Ends::REPLY_DST), (dnat, true, Ends::REPLY_SRC)] {
            if !wanted {
                continue;
            }
            let done = Node::Test(Test::Nat { dst });
            let places = targets.iter().map(|((net, ports), _)| {
                let mut place = vec![Node::Test(Test::Address { ends: end, nets: [*net].into() })];
                if let Some((low, high)) = ports {
                    place.push(Node::Test(Test::Port { ends: end, ranges: Ranges::new(vec![(*low, *high)]) }));
                }
                Node::and(place)
            });
            let places: Vec<Node> = places.collect();
            parts.push(if places.is_empty() { done } else { Node::and(vec![done, Node::or(places)]) });
        }
        Ok(Node::or(parts))
    }

    /// `from userspace`: a program caused it; `from kernel`: a packet or a timer.
    fn from(&mut self) -> Result<Node, FilterError> {
        let token = self.take();
        let nobody = Ranges::one(0);
        match &token.kind {
            Kind::Word(text) if text.eq_ignore_ascii_case("userspace") => {
                Ok(Node::number(Field::Portid, nobody.complement()))
            }
            Kind::Word(text) if text.eq_ignore_ascii_case("kernel") => Ok(Node::number(Field::Portid, nobody)),
            _ => Err(FilterError::new("'from' asks who caused an event", token.span)
                .hint("write 'from userspace' or 'from kernel'; 'src A' for a source address")),
        }
    }
}

fn unknown_word(text: &str, span: Span) -> FilterError {
    if text.chars().next().is_some_and(|c| c.is_ascii_digit()) || text.contains(':') {
        let hint = if values::looks_like_address(text) {
            format!("write 'src {text}', 'dst {text}' or 'host {text}'")
        } else {
            format!("say which field it is, as in 'port {text}' or 'mark {text}'")
        };
        return FilterError::new(format!("'{text}' stands alone"), span).hint(hint);
    }
    let error = FilterError::new(format!("unknown word '{text}'"), span);
    if let Some(state) = values::state_name(text) {
        return error.hint(format!("write 'state {state}'"));
    }
    match words::nearest(text, WORDS.iter().map(|(name, _)| *name)) {
        Some(word) => error.hint(format!("did you mean '{word}'?")),
        None => error,
    }
}
