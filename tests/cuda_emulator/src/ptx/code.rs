//! Instructions as they run: operands are resolved to rows of the register file, nothing is looked up.

/// The type of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ty {
    U8,
    S8,
    U16,
    S16,
    U32,
    S32,
    U64,
    S64,
    F16,
    Bf16,
    F16x2,
    Bf16x2,
    F32,
    F64,
    Pred,
}

impl Ty {
    pub fn parse(name: &str) -> Option<Ty> {
        Some(match name {
            "u8" | "b8" => Ty::U8,
            "s8" => Ty::S8,
            "u16" | "b16" => Ty::U16,
            "s16" => Ty::S16,
            "u32" | "b32" | "tf32" => Ty::U32,
            "s32" => Ty::S32,
            "u64" | "b64" => Ty::U64,
            "s64" => Ty::S64,
            "f16" => Ty::F16,
            "bf16" => Ty::Bf16,
            "f16x2" => Ty::F16x2,
            "bf16x2" => Ty::Bf16x2,
            "f32" => Ty::F32,
            "f64" => Ty::F64,
            "pred" => Ty::Pred,
            _ => return None,
        })
    }

    pub fn bits(self) -> u32 {
        match self {
            Ty::Pred => 1,
            Ty::U8 | Ty::S8 => 8,
            Ty::U16 | Ty::S16 | Ty::F16 | Ty::Bf16 => 16,
            Ty::U32 | Ty::S32 | Ty::F32 | Ty::F16x2 | Ty::Bf16x2 => 32,
            Ty::U64 | Ty::S64 | Ty::F64 => 64,
        }
    }

    pub fn bytes(self) -> u32 {
        self.bits().div_ceil(8)
    }

    pub fn signed(self) -> bool {
        matches!(self, Ty::S8 | Ty::S16 | Ty::S32 | Ty::S64)
    }

    pub fn float(self) -> bool {
        matches!(self, Ty::F16 | Ty::Bf16 | Ty::F16x2 | Ty::Bf16x2 | Ty::F32 | Ty::F64)
    }

    /// The unsigned integer of as many bits, for operations that do not care.
    pub fn plain(self) -> Ty {
        match self.bits() {
            8 => Ty::U8,
            16 => Ty::U16,
            32 => Ty::U32,
            _ => Ty::U64,
        }
    }
}

/// A comparison; the unordered ones are true of NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Equ,
    Neu,
    Ltu,
    Leu,
    Gtu,
    Geu,
    Num,
    Nan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    Generic,
    Global,
    Shared,
    Local,
    Param,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    Nearest,
    Zero,
    Down,
    Up,
    /// To the nearest, ties away from zero.
    Away,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    Tid(u8),
    Ntid(u8),
    Ctaid(u8),
    Nctaid(u8),
    Lane,
    Warp,
    Warps,
    Sm,
    Sms,
    LaneMask(Compare),
    Clock,
    Clock64,
    Timer,
    DynamicShared,
    TotalShared,
    /// The halves of the address of what blocks of a cooperative launch meet at.
    Environment(u8),
    Zero,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Atomic {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
    Exchange,
    Swap,
    Increment,
    Decrement,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shuffle {
    Up,
    Down,
    Butterfly,
    Index,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vote {
    All,
    Any,
    Uniform,
    Ballot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarrierKind {
    Sync,
    Arrive,
    Count,
    And,
    Or,
}

/// What a product of matrices multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Factors {
    Bf16,
    F16,
    Tf32,
}

/// What an instruction does. Operands are in [`Instr`].
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

/// A row in the register file, or, with this bit, in the kernel's table of constants.
pub const CONSTANT: u32 = 1 << 31;
/// A predicate that is negated.
pub const NEGATED: u32 = 1 << 31;

/// Bits of [`Instr::flags`].
pub mod flag {
    /// Subnormal numbers are zero.
    pub const FLUSH: u32 = 1;
    /// The result is clamped to 0..1.
    pub const SATURATE: u32 = 2;
    /// NaN goes through minima and maxima.
    pub const NAN: u32 = 4;
    /// Carry is read; carry is written.
    pub const CARRY_IN: u32 = 8;
    pub const CARRY_OUT: u32 = 16;
    /// The address is of 32 bits.
    pub const NARROW_ADDRESS: u32 = 32;
    /// Negative numbers become zero.
    pub const RELU: u32 = 64;
    /// How `setp` combines: 0 not, 1 and, 2 or, 3 xor.
    pub const COMBINE: u32 = 3 << 8;
    pub const COMBINE_SHIFT: u32 = 8;
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

/// An instruction. What `a` to `e` and `list` mean is up to [`Code`].
#[derive(Debug, Clone, Copy)]
pub struct Instr {
    pub code: Code,
    pub unit: Unit,
    /// The predicate under which lanes take part; predicate 0 is true.
    pub guard: u32,
    pub d: u32,
    pub a: u32,
    pub b: u32,
    pub c: u32,
    pub e: u32,
    pub flags: u32,
    /// An offset of addresses, a branch's target, an immediate.
    pub offset: i64,
    /// Where the operands of long instructions start in [`Program::lists`].
    pub list: u32,
    pub line: u32,
}

/// A register as a list holds it.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    pub row: u32,
    pub bits: u32,
}

/// A kernel, decoded, with the functions it calls.
#[derive(Debug, Default)]
pub struct Program {
    pub name: String,
    pub code: Vec<Instr>,
    pub lists: Vec<Slot>,
    pub tables: Vec<u32>,
    pub constants: Vec<crate::run::file::Row>,
    pub rows: u32,
    pub predicates: u32,
    /// Bytes of parameters, of local memory a thread, and of static shared memory.
    pub params: Vec<(u32, u32)>,
    pub param_bytes: u32,
    pub local: u32,
    pub shared: u32,
    pub max_threads: u32,
    /// The text of each line that holds an instruction, for messages.
    pub text: std::collections::HashMap<u32, String>,
}
