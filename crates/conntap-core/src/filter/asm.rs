//! Assembler for classic BPF (linux/filter.h): labels, jumps of any length, netlink attribute loads.

pub(crate) const LD_W_ABS: u16 = 0x20;
pub(crate) const LD_B_ABS: u16 = 0x30;
pub(crate) const LD_W_IND: u16 = 0x40;
pub(crate) const LD_H_IND: u16 = 0x48;
pub(crate) const LD_B_IND: u16 = 0x50;
const LD_IMM: u16 = 0x00;
const LDX_IMM: u16 = 0x01;
pub(crate) const LDX_MEM: u16 = 0x61;
pub(crate) const ST: u16 = 0x02;
pub(crate) const TAX: u16 = 0x07;
pub(crate) const TXA: u16 = 0x87;
pub(crate) const AND_K: u16 = 0x54;
pub(crate) const LSH_K: u16 = 0x64;
pub(crate) const OR_X: u16 = 0x4c;
const JA: u16 = 0x05;
pub(crate) const JEQ_K: u16 = 0x15;
pub(crate) const JGT_K: u16 = 0x25;
pub(crate) const JGE_K: u16 = 0x35;
pub(crate) const JSET_K: u16 = 0x45;
pub(crate) const JEQ_X: u16 = 0x1d;
const RET_K: u16 = 0x06;

/// SKF_AD_OFF + SKF_AD_NLATTR: A = offset of attribute X in the stream at A, 0 if there is none.
const AD_NLATTR: u32 = 0xffff_f00c;
/// SKF_AD_OFF + SKF_AD_NLATTR_NEST: the same inside the attribute at A.
const AD_NLATTR_NEST: u32 = 0xffff_f010;
/// nlmsghdr and nfgenmsg.
const ATTRS_AT: u32 = 20;
/// BPF_MAXINSNS.
pub(crate) const MAX_INSTRUCTIONS: usize = 4096;

/// One instruction: `struct sock_filter`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Insn {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// A place in the program that is not known yet. All jumps lead forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(usize);

#[derive(Clone, Copy, Debug)]
enum Op {
    Plain { code: u16, k: u32 },
    Branch { code: u16, k: u32, yes: Label, no: Label, far: bool },
    Goto(Label),
    Place(Label),
}

impl Op {
    fn size(&self) -> usize {
        match self {
            Self::Plain { .. } | Self::Goto(_) => 1,
            Self::Branch { far: true, .. } => 3,
            Self::Branch { .. } => 1,
            Self::Place(_) => 0,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Assembler {
    ops: Vec<Op>,
    labels: usize,
}

impl Assembler {
    pub fn label(&mut self) -> Label {
        let label = Label(self.labels);
        self.labels = self.labels.saturating_add(1);
        label
    }

    pub fn place(&mut self, label: Label) {
        // A jump to the very next instruction is no jump.
        while matches!(self.ops.last(), Some(Op::Goto(to)) if *to == label) {
            self.ops.pop();
        }
        self.ops.push(Op::Place(label));
    }

    pub fn op(&mut self, code: u16, k: u32) {
        self.ops.push(Op::Plain { code, k });
    }

    pub fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) {
        self.ops.push(Op::Branch { code, k, yes, no, far: false });
    }

    /// Branch to `yes`, else go on with the next instruction.
    pub fn branch_or_next(&mut self, code: u16, k: u32, yes: Label) {
        let next = self.label();
        self.branch(code, k, yes, next);
        self.place(next);
    }

    pub fn goto(&mut self, label: Label) {
        self.ops.push(Op::Goto(label));
    }

    pub fn ret(&mut self, k: u32) {
        self.op(RET_K, k);
    }

    /// X = offset of the attribute at the end of `path`; to `absent` if there is none.
    pub fn find(&mut self, path: &[u16], absent: Label) {
        self.op(LD_IMM, ATTRS_AT);
        for (depth, kind) in path.iter().enumerate() {
            self.op(LDX_IMM, u32::from(*kind));
            self.op(LD_W_ABS, if depth == 0 { AD_NLATTR } else { AD_NLATTR_NEST });
            let found = self.label();
            self.branch(JEQ_K, 0, absent, found);
            self.place(found);
        }
        self.op(TAX, 0);
    }

    /// The program, or None if it is longer than the kernel takes.
    pub fn finish(mut self) -> Option<Vec<Insn>> {
        // Branches reach 255 instructions; those that must go farther become a branch around two long jumps.
        // Each round can only lengthen the program, so it ends.
        loop {
            let places = self.places();
            let (mut at, mut grown) = (0usize, false);
            for op in &mut self.ops {
                let next = at.saturating_add(op.size());
                if let Op::Branch { yes, no, far: far @ false, .. } = op {
                    let reach = |label: &Label| places.get(label.0).is_some_and(|to| to.saturating_sub(next) <= 255);
                    if !(reach(yes) && reach(no)) {
                        (*far, grown) = (true, true);
                    }
                }
                at = next;
            }
            if !grown {
                return if at <= MAX_INSTRUCTIONS { self.emit(&places) } else { None };
            }
        }
    }

    fn places(&self) -> Vec<usize> {
        let mut places = vec![0; self.labels];
        let mut at = 0usize;
        for op in &self.ops {
            if let Op::Place(label) = op
                && let Some(place) = places.get_mut(label.0)
            {
                *place = at;
            }
            at = at.saturating_add(op.size());
        }
        places
    }

    fn emit(&self, places: &[usize]) -> Option<Vec<Insn>> {
        let mut out: Vec<Insn> = Vec::new();
        // Instructions between `from` and the label; None would be a jump backwards.
        let offset = |label: Label, from: usize| places.get(label.0)?.checked_sub(from);
        let jump = |label: Label, from: usize| {
            let k = u32::try_from(offset(label, from)?).ok()?;
            Some(Insn { code: JA, k, ..Insn::default() })
        };
        for op in &self.ops {
            let next = out.len().checked_add(1)?;
            match *op {
                Op::Plain { code, k } => out.push(Insn { code, k, ..Insn::default() }),
                Op::Goto(label) => out.push(jump(label, next)?),
                Op::Branch { code, k, yes, no, far: false } => {
                    let jt = u8::try_from(offset(yes, next)?).ok()?;
                    let jf = u8::try_from(offset(no, next)?).ok()?;
                    out.push(Insn { code, jt, jf, k });
                }
                Op::Branch { code, k, yes, no, far: true } => {
                    out.push(Insn { code, jt: 0, jf: 1, k });
                    out.push(jump(yes, next.checked_add(1)?)?);
                    out.push(jump(no, next.checked_add(2)?)?);
                }
                Op::Place(_) => {}
            }
        }
        Some(out)
    }
}
