//! A program without std and without an allocator that draws a negative and computes a loss with its gradient.
//!
//! It would fail to compile if hps-core used std, and fail to link if it allocated. It exits with 0 if the numbers are
//! right: for scores (0.2, 0.1, -0.3), `L = ln(1 + e^-0.1 + e^-0.5)` by Eq. 6 of "Hard Preference Sampling".
#![no_std]
#![no_main]

use core::ffi::c_int;
use core::panic::PanicInfo;
use hps_core::{Error, Loss, NegativeSampler, Position, Responses, TiePolicy};

// The C library starts the program and supplies memcpy; nothing else is taken from it.
#[link(name = "c")]
unsafe extern "C" {}

#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    match numbers_are_right() {
        Ok(true) => 0,
        _ => 1,
    }
}

fn numbers_are_right() -> Result<bool, Error> {
    let (policy, reference) = ([-10.0, -11.0, -15.0], [-12.0, -12.0, -12.0]);
    let rewards = [1.0, 0.5, -2.0];
    let row = Responses::new(&policy)?.with_reference(&reference)?.with_lengths(&[3, 4, 5])?.with_rewards(&rewards)?;
    let (mut scratch, mut gradient) = ([0.0; Loss::scratch_len(3)], [0.0; 3]);

    let full: Loss = "dpo-hps-full".parse()?;
    let value: f64 = full.value_and_gradient(&row, &mut scratch, &mut gradient)?;
    let full_is_right = near(value, 0.920_827_655_553_259_4) && near(gradient[0], -0.060_181_065_895_506_4);

    // The hardest negative is response 1: L = ln(1 + e^-0.1).
    let drawn = NegativeSampler::new(1).draw(&rewards, f64::INFINITY, TiePolicy::Keep, Position::default())?;
    let single: Loss = "dpo-hps".parse()?;
    let value = single.value_and_gradient(&row.with_sample(drawn)?, &mut scratch, &mut gradient)?;
    Ok(full_is_right && drawn == 1 && near(value, 0.644_396_660_073_570_9) && gradient[2] == 0.0)
}

fn near(given: f64, expected: f64) -> bool {
    (given - expected).abs() < 1e-14
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

// core was built to unwind and names this function; with panic = "abort" nothing calls it.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
