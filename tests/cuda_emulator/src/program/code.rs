//! What instructions do, and who runs them.

use super::kind::{Atomic, BarrierKind, Compare, Factors, Rounding, Shuffle, Space, Special, Vote};
use super::ty::Ty;

/// What an instruction does. Operands are in [`Instr`](super::Instr).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Mov(Ty),
    MovPred,
    Special(Special),
    /// `list` of parts to one register, and back.
    Pack,
    Unpack,
    Add(Ty),
    Sub(Ty),
    MulLo(Ty),
    MulHi(Ty),
    MulWide(Ty),
    MadLo(Ty),
    MadHi(Ty),
    MadWide(Ty),
    Mul24(Ty),
    Sad(Ty),
    AddCarry(Ty),
    SubCarry(Ty),
    MadCarry {
        ty: Ty,
        high: bool,
    },
    Div(Ty),
    Rem(Ty),
    Abs(Ty),
    Neg(Ty),
    Min(Ty),
    Max(Ty),
    Fma(Ty),
    /// Arithmetic in f32 or f64 that does not round to the nearest.
    AddRounded(Ty, Rounding),
    MulRounded(Ty, Rounding),
    FmaRounded(Ty, Rounding),
    DivRounded(Ty, Rounding),
    SqrtRounded(Ty, Rounding),
    Rcp(Ty),
    Sqrt(Ty),
    Rsqrt(Ty),
    Exp2(Ty),
    Log2,
    Sin,
    Cos,
    Tanh(Ty),
    CopySign(Ty),
    TestNumber {
        ty: Ty,
        kind: u8,
    },
    And(Ty),
    Or(Ty),
    Xor(Ty),
    Not(Ty),
    LogicalNot(Ty),
    AndPred,
    OrPred,
    XorPred,
    NotPred,
    Shl(Ty),
    Shr(Ty),
    FunnelLeft {
        clamp: bool,
    },
    FunnelRight {
        clamp: bool,
    },
    Lop3,
    Permute(u8),
    Extract(Ty),
    Insert(Ty),
    FindBit {
        ty: Ty,
        shift: bool,
    },
    ReverseBits(Ty),
    CountOnes(Ty),
    LeadingZeros(Ty),
    SignZeroExtend {
        signed: bool,
        clamp: bool,
    },
    Mask {
        clamp: bool,
    },
    Dot4 {
        a_signed: bool,
        b_signed: bool,
    },
    Dot2 {
        a_signed: bool,
        b_signed: bool,
        high: bool,
    },
    Setp(Compare, Ty),
    Set {
        compare: Compare,
        to: Ty,
        from: Ty,
    },
    Select(Ty),
    /// By the sign of `c`.
    SelectSign(Ty, Ty),
    Convert {
        to: Ty,
        from: Ty,
        rounding: Rounding,
        integral: bool,
        saturate: bool,
    },
    ConvertPair(Ty, Rounding),
    ConvertTf32,
    AddressTo {
        space: Space,
        back: bool,
    },
    IsSpace(Space),
    Load {
        space: Space,
        ty: Ty,
        count: u8,
        invariant: bool,
    },
    Store {
        space: Space,
        ty: Ty,
        count: u8,
    },
    CopyParam,
    Atomic {
        space: Space,
        ty: Ty,
        op: Atomic,
    },
    Branch,
    BranchIndexed,
    Call,
    Return,
    Exit,
    Trap,
    Nothing,
    Barrier(BarrierKind),
    WarpBarrier,
    Shuffle(Shuffle),
    Vote(Vote),
    Match {
        ty: Ty,
        all: bool,
    },
    Reduce {
        ty: Ty,
        op: Atomic,
    },
    Elect,
    ActiveMask,
    Product {
        factors: Factors,
        depth: u8,
        half_sums: bool,
    },
    LoadMatrix {
        count: u8,
        transposed: bool,
    },
    StoreMatrix {
        count: u8,
        transposed: bool,
    },
    TransposeMatrix,
    CopyAsync {
        size: u8,
    },
    CommitCopies,
    WaitCopies,
}

/// Who runs an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Integer,
    Float,
    Convert,
    Choose,
    Memory,
    Matrix,
    Control,
}

impl Code {
    pub fn unit(self) -> Unit {
        match self {
            Code::Add(ty)
            | Code::Sub(ty)
            | Code::MulLo(ty)
            | Code::Div(ty)
            | Code::Abs(ty)
            | Code::Neg(ty)
            | Code::Min(ty)
            | Code::Max(ty) => {
                if ty.float() {
                    Unit::Float
                } else {
                    Unit::Integer
                }
            }
            Code::Fma(_)
            | Code::AddRounded(..)
            | Code::MulRounded(..)
            | Code::FmaRounded(..)
            | Code::DivRounded(..)
            | Code::SqrtRounded(..)
            | Code::Rcp(_)
            | Code::Sqrt(_)
            | Code::Rsqrt(_)
            | Code::Exp2(_)
            | Code::Log2
            | Code::Sin
            | Code::Cos
            | Code::Tanh(_)
            | Code::CopySign(_) => Unit::Float,
            Code::Convert { .. } | Code::ConvertPair(..) | Code::ConvertTf32 => Unit::Convert,
            Code::Setp(..)
            | Code::Set { .. }
            | Code::Select(_)
            | Code::SelectSign(..)
            | Code::TestNumber { .. }
            | Code::MovPred
            | Code::NotPred
            | Code::AndPred
            | Code::OrPred
            | Code::XorPred
            | Code::AddressTo { .. }
            | Code::IsSpace(_) => Unit::Choose,
            Code::Load { .. }
            | Code::Store { .. }
            | Code::CopyParam
            | Code::Atomic { .. }
            | Code::CopyAsync { .. }
            | Code::CommitCopies
            | Code::WaitCopies => Unit::Memory,
            Code::Product { .. } | Code::LoadMatrix { .. } | Code::StoreMatrix { .. } => Unit::Matrix,
            Code::Special(_)
            | Code::Pack
            | Code::Unpack
            | Code::Branch
            | Code::BranchIndexed
            | Code::Call
            | Code::Return
            | Code::Exit
            | Code::Trap
            | Code::Nothing
            | Code::Barrier(_)
            | Code::WarpBarrier
            | Code::Shuffle(_)
            | Code::Vote(_)
            | Code::Match { .. }
            | Code::Reduce { .. }
            | Code::Elect
            | Code::ActiveMask
            | Code::TransposeMatrix => Unit::Control,
            _ => Unit::Integer,
        }
    }
}
