//! The preference kernels of every GPU against hps-core's.
//!
//! `kernels.rs` has what the checks ask of a GPU's crate; a further one is one more `kernels!` there and one more `checks!` here.

#![cfg(any(feature = "cuda", feature = "wgpu"))]

#[path = "../../hps-core/tests/reference/case.rs"]
mod case;
mod draws;
mod error;
mod kernels;
#[cfg(feature = "wgpu")]
mod limits;
mod lists;
#[path = "../../hps-core/tests/properties/losses.rs"]
#[allow(dead_code, reason = "shared with hps-core's tests, which read more of it")]
mod losses;
mod options;
mod reference;
mod refusals;
mod rows;
#[path = "../support/mod.rs"]
mod support;
mod tolerance;

/// `checks!(name, device if there is one)`: every check as a test of its own, `name::check`, and those of one GPU alone.
macro_rules! checks {
    ($name:ident, $device:expr $(, $own:ident: $($own_check:ident),+)?) => {
        mod $name {
            checks! {
                @each $device;
                draws: ten_million_draws, extreme_rewards, many_draws_of_few_prompts, draws_that_cannot_be_made_are_refused;
                options: random_options;
                reference: every_case;
                refusals: what_is_not_finite_surfaces, what_overflows_surfaces, what_hps_core_refuses_is_refused,
                    sizes_that_do_not_fit;
                rows: every_loss_agrees_with_hps_core, every_team_agrees_with_hps_core, scores_far_apart,
                    the_largest_team_agrees_with_hps_core, a_prompt_does_not_depend_on_its_batch,
                    samples_of_longer_lists, differences_of_long_responses;
                $($own: $($own_check),+;)?
            }
        }
    };
    (@each $device:expr; $($family:ident: $($check:ident),+;)+) => {
        $($(
            #[test]
            fn $check() {
                if let Some(device) = $device {
                    crate::$family::$check(&device);
                }
            }
        )+)+
    };
}

#[cfg(feature = "cuda")]
checks!(cuda, crate::support::gpu::cuda(hps_llama::backend::Dtype::Float32).map(|backend| backend.device().clone()));
#[cfg(feature = "wgpu")]
checks!(
    wgpu,
    crate::support::gpu::wgpu(hps_llama::backend::Dtype::Float32).map(|backend| backend.device().clone()),
    limits: limits_change_no_bit, limits_change_no_draw, loops_that_would_be_left_halfway_are_refused
);
