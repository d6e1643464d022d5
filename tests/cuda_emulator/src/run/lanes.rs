//! Loops over the 32 lanes. Those over all are macros, so that each becomes one loop of vector instructions in the
//! function that is compiled for them.

/// The lanes of a mask, the lowest first.
#[inline(always)]
pub fn lanes(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if mask == 0 {
            return None;
        }
        let lane = mask.trailing_zeros();
        mask &= mask - 1;
        Some(lane as usize)
    })
}

/// `d = e` in every lane.
macro_rules! each {
    ($file:ident, $i:ident, $m:ident, $R:ty, |$lane:ident| $e:expr) => {{
        let mut out = [<$R as crate::run::file::Lane>::ZERO; 32];
        for $lane in 0..32usize {
            out[$lane] = $e;
        }
        $file.put::<$R>($i.d, $m, &out)
    }};
}

macro_rules! one {
    ($file:ident, $i:ident, $m:ident, $T:ty => $R:ty, |$a:ident| $e:expr) => {{
        each!($file, $i, $m, $R, |lane| {
            let $a = $file.get::<$T>($i.a, lane);
            $e
        })
    }};
}

macro_rules! two {
    ($file:ident, $i:ident, $m:ident, $T:ty, $U:ty => $R:ty, |$a:ident, $b:ident| $e:expr) => {{
        each!($file, $i, $m, $R, |lane| {
            let $a = $file.get::<$T>($i.a, lane);
            let $b = $file.get::<$U>($i.b, lane);
            $e
        })
    }};
}

macro_rules! three {
    ($file:ident, $i:ident, $m:ident, $T:ty, $U:ty, $V:ty => $R:ty, |$a:ident, $b:ident, $c:ident| $e:expr) => {{
        each!($file, $i, $m, $R, |lane| {
            let $a = $file.get::<$T>($i.a, lane);
            let $b = $file.get::<$U>($i.b, lane);
            let $c = $file.get::<$V>($i.c, lane);
            $e
        })
    }};
}

/// A bit of every lane.
macro_rules! test {
    ($file:ident, $i:ident, $T:ty, |$a:ident, $b:ident| $e:expr) => {{
        let mut flags = [0u32; 32];
        for lane in 0..32usize {
            let $a = $file.get::<$T>($i.a, lane);
            let $b = $file.get::<$T>($i.b, lane);
            flags[lane] = u32::from($e);
        }
        let mut bits = 0;
        for (lane, flag) in flags.iter().enumerate() {
            bits |= flag << lane;
        }
        bits
    }};
}

pub(crate) use {each, one, test, three, two};
