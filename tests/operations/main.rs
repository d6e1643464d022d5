//! Every backend operation, forward and backward, against a plain f64 copy of it, and that copy against finite
//! differences.
//!
//! `plain/` has the copies; `conformance/` has the checks, generic over the backend; `tolerance.rs` has one table of
//! bounds a backend. A further backend is one more `conformance!` line.

mod conformance;
mod differences;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
#[path = "../support/gpu.rs"]
mod gpu;
mod layout;
mod matrix;
mod plain;
mod random;
mod subject;
mod tolerance;

/// `conformance!(name, backend if there is one, tolerances)`: every check of `conformance/` as a test of its own, `name::check`.
macro_rules! conformance {
    ($name:ident, $backend:expr, $tolerance:expr) => {
        conformance!($name, $backend, $tolerance, None);
    };
    ($name:ident, $backend:expr, $tolerance:expr, $halves:expr) => {
        mod $name {
            conformance! {
                @checks $backend, $tolerance, $halves;
                storage: arrays_come_back, indices_come_back, every_half_is_its_value, singles_keep_their_bits,
                    frozen_weights_are_exact;
                stored: stored_numbers_are_decoded, products_with_stored_weights_agree, embeddings_and_heads_agree;
                rows: embed_agrees, gather_agrees, scale_rows_agrees, write_rows_agrees;
                norm: rms_norm_agrees, rms_norm_agrees_on_rows_of_any_size, rms_norm_backward_lands_on_the_residual;
                linear: linear_agrees;
                adapted: adapted_agrees, adapted_drops_its_input, adapted_backward_computes_what_is_wanted,
                    layers_of_one_input_agree;
                elementwise: add_scaled_agrees, swiglu_agrees, swiglu_agrees_at_extreme_gates;
                dropout: dropout_is_philox, dropout_drops_its_rate, dropout_does_not_see_the_packing,
                    dropout_is_its_own_adjoint;
                rotary: rotation_agrees, rotate_agrees;
                attention: attention_agrees, attention_of_the_last_tokens_agrees, attention_agrees_at_large_scores,
                    attention_ignores_what_is_not_seen;
                attention_decode: decode_attention_agrees, decode_attention_is_a_row_of_attention;
                head: log_probs_agree, log_probs_agree_at_huge_logits, a_row_without_a_coefficient_does_not_count;
                head_tiles: log_probs_agree_across_tiles;
                optimizer: global_norm_agrees, adamw_agrees, adamw_of_all_is_adamw_of_each, adamw_without_a_gradient_only_decays,
                    adamw_leaves_a_broken_step_out;
                sampling: at_temperature_zero_the_lowest_of_equals_wins,
                    a_sample_is_where_the_cumulative_probability_passes, samples_follow_the_softmax,
                    a_cut_keeps_the_first_of_the_order, log_probs_of_draws_are_the_models_own;
                refusals: a_token_outside_the_table_is_refused, a_row_outside_the_array_is_refused,
                    a_target_outside_the_vocabulary_is_refused, a_missing_target_is_refused,
                    malformed_spans_are_refused, missing_spans_are_refused, a_first_query_inside_a_segment_is_refused,
                    cache_rows_that_do_not_exist_are_refused;
            }
        }
    };
    (@checks $backend:expr, $tolerance:expr, $halves:expr; $($family:ident: $($check:ident),+;)+) => {
        $($(
            #[test]
            fn $check() {
                if let Some(backend) = $backend {
                    let subject = crate::subject::Subject { backend, tolerance: $tolerance, halves: $halves };
                    crate::conformance::$family::$check(&subject);
                }
            }
        )+)+
    };
}

#[cfg(feature = "cuda")]
conformance!(cuda, crate::gpu::cuda(hps_llama::backend::Dtype::Float32), crate::tolerance::cuda);
#[cfg(feature = "cuda")]
conformance!(
    cuda_bfloat16,
    crate::gpu::cuda(hps_llama::backend::Dtype::BFloat16),
    crate::tolerance::cuda_bfloat16,
    Some(crate::gpu::halves)
);
conformance!(cpu, Some(hps_llama::backend::cpu::Cpu), crate::tolerance::cpu);

/// On GPUs it does, by rounding.
#[test]
fn a_row_of_a_product_is_the_same_alone_on_the_cpu() {
    let subject = subject::Subject { backend: hps_llama::backend::cpu::Cpu, tolerance: tolerance::cpu, halves: None };
    conformance::stored::a_row_of_a_product_is_the_same_alone(&subject);
}

#[cfg(feature = "cuda")]
mod codes_on_cuda {
    use crate::conformance::stored;
    use crate::{gpu, subject, tolerance};
    use hps_llama::backend::Dtype;

    #[test]
    fn codes_are_decoded_to_the_bit() {
        let Some(backend) = gpu::cuda(Dtype::Float32) else { return };
        stored::codes_are_decoded_to_the_bit(&subject::Subject { backend, tolerance: tolerance::cuda, halves: None });
    }

    #[test]
    fn the_first_matrix_decides() {
        stored::the_first_matrix_decides(|| gpu::cuda(Dtype::Auto));
    }
}

#[cfg(feature = "wgpu")]
conformance!(wgpu, crate::gpu::wgpu(hps_llama::backend::Dtype::Float32), crate::tolerance::wgpu);
#[cfg(feature = "wgpu")]
conformance!(wgpu_bfloat16, crate::gpu::wgpu(hps_llama::backend::Dtype::BFloat16), crate::tolerance::wgpu);
