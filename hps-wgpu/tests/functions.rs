//! The kernels' exponentials and logarithms on this adapter, against f64.

mod support;

use hps_wgpu::Device;

/// Units in the last place of `eˣ`: the bound its definition states. Measured 1.3 on Mesa's CPU adapter, as below.
const EXP: f64 = 2.0;

/// Of `ln x` and `ln(1 + x)`: 2 of their own (measured 1.95), and the 2.5 that WGSL lets a division be wrong by.
const LN: f64 = 4.5;

/// Of `ln(1 + eˣ)`: another one of `eˣ` and the last addition's half. Measured 2.3.
const SOFTPLUS: f64 = 6.0;

/// Of `1/(1 + e⁻ˣ)`: 2 of `e⁻ˣ`, the addition's half and the division's 2.5, rounded up. Measured 3.0.
const SIGMOID: f64 = 5.5;

const PRELUDE: &str = include_str!("../src/device/prelude.wgsl");

const ENTRY: &str = "
@group(0) @binding(0) var<storage, read_write> numbers: array<f32>;

@compute @workgroup_size(64)
fn apply(@builtin(global_invocation_id) thread: vec3<u32>) {
    if (thread.x < arrayLength(&numbers)) {
        numbers[thread.x] = FUNCTION(numbers[thread.x]);
    }
}";

#[test]
fn functions_are_within_their_bounds() {
    let Some(device) = support::device() else { return };
    let spread = |low: f64, high: f64| -> Vec<f32> {
        (0..=200_000).map(|step| (low + (high - low) * f64::from(step) / 200_000.0) as f32).collect()
    };
    let magnitudes = |low: f64, high: f64| -> Vec<f32> { spread(low, high).iter().map(|x| x.exp2()).collect() };
    let signed = |list: Vec<f32>| -> Vec<f32> { list.iter().copied().chain(list.iter().map(|x| -x)).collect() };

    check(&device, "exp_", &spread(-87.0, 88.0), f64::exp, EXP);
    check(&device, "decay", &spread(-86.9, 0.0), f64::exp, EXP);
    check(&device, "ln_", &[magnitudes(-126.0, 127.9), spread(0.5, 2.0)].concat(), f64::ln, LN);
    let near = [signed(magnitudes(-100.0, -1.0)), spread(-0.5, 3.0), magnitudes(0.0, 60.0)].concat();
    check(&device, "ln_1p", &near, f64::ln_1p, LN);
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    check(&device, "softplus", &spread(-86.0, 100.0), softplus, SOFTPLUS);
    check(&device, "sigmoid", &spread(-86.0, 86.0), |x| 1.0 / (1.0 + (-x).exp()), SIGMOID);
    assert_eq!(applied(&device, "decay", &[-87.1, -1e30, 0.0]), [0.0, 0.0, 1.0]);
}

fn check(device: &Device, function: &str, arguments: &[f32], exact: fn(f64) -> f64, bound: f64) {
    let (mut worst, mut at) = (0.0, 0.0);
    for (&x, &given) in arguments.iter().zip(&applied(device, function, arguments)) {
        let exact = exact(f64::from(x));
        let unit =
            f64::from((exact as f32).abs().max(f32::MIN_POSITIVE)).log2().floor().exp2() * f64::from(f32::EPSILON);
        let error = (f64::from(given) - exact).abs() / unit;
        if error > worst || error.is_nan() {
            (worst, at) = (error, x);
        }
    }
    println!("{function}: {worst:.2} units in the last place at {at:e}");
    assert!(worst <= bound, "{function}: {worst:.2} units in the last place at {at:e}");
}

fn applied(device: &Device, function: &str, arguments: &[f32]) -> Vec<f32> {
    let array = device.upload(arguments, 1).unwrap();
    let (wgpu, queue) = device.wgpu();
    let source = [PRELUDE, &ENTRY.replace("FUNCTION", function)].concat();
    let module = wgpu.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(function),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let pipeline = wgpu.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(function),
        layout: None,
        module: &module,
        entry_point: Some("apply"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    let group = wgpu.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: array.buffer().as_entire_binding() }],
    });
    let mut encoder = wgpu.create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups((array.buffer().size() / 4).div_ceil(64) as u32, 1, 1);
    }
    queue.submit([encoder.finish()]);
    device.download(&array).unwrap()
}
