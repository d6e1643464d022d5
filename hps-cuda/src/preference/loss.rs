//! Loss and gradient of a batch: `(log π, log π_ref, l, r) -> L` and `∂L/∂log π_i` of every prompt, in nats.

use crate::device::Device;
use crate::device::array::{Array, Format};
use crate::device::launch::narrow;
use crate::device::memory::Storage;
use crate::error::{Error, ErrorKind, Result, While, agree};
use crate::preference::family;
use crate::preference::team::Team;
use cudarc::driver::{CudaFunction, DevicePtr, DevicePtrMut, DeviceRepr, DeviceSlice, LaunchConfig, PushKernelArg};
use hps_core::{Batch, KernelRows, Loss, LossDescriptor, Scalar};

/// A loss over a batch whose constant lists lie on the device: everything but the policy's log-probabilities.
///
/// ```
/// use hps_core::{Batch, Loss};
/// use hps_cuda::{Device, PreferenceLoss};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let Ok(device) = Device::open(None) else { return Ok(()) }; // no GPU here
/// let loss: Loss = "dpo-hps-full".parse()?;
/// let reference = [-9.0_f32; 6];
/// // The batch's own policy is not read here; the device's is.
/// let batch = Batch::new(3, &reference)?.with_reference(&reference)?.with_lengths(&[4; 6])?.with_rewards(&[1.0, 0.5, 0.0, 2.0, 1.0, -1.0])?;
/// let on_device = PreferenceLoss::new(&device, &loss, &batch)?;
/// let policy = device.upload(&[-9.0; 6], 3)?;
/// let computed = on_device.of_policy(&policy)?;
/// let (values, gradient) = (device.download(&computed.values)?, device.download(&computed.gradient)?);
/// assert!((values[1] - 3.0_f32.ln()).abs() < 1e-6 && (gradient[3] + 0.1 * 2.0 / 3.0).abs() < 1e-7);
/// # Ok(())
/// # }
/// ```
///
/// # In a program of its own
/// [`run_on`](Self::run_on) reads and writes buffers of cudarc, so a trainer that has its log-probabilities there
/// copies nothing and waits for nothing. candle's tensors lie in such buffers; its `cuda` feature has the same cudarc:
///
/// ```ignore
/// use candle_core::{CudaStorage, Storage, Tensor, op::BackpropOp};
///
/// // Once, on candle's own stream.
/// let candle = candle_core::Device::new_cuda(0)?;
/// let device = hps_cuda::Device::from_cudarc(&candle.as_cuda_device()?.cuda_stream())?;
///
/// /// `∂L/∂log π` of log-probabilities `[prompts, responses]` in f32, and `L`, `[prompts]`.
/// fn gradient(loss: &hps_cuda::PreferenceLoss, log_probs: &Tensor) -> Result<(Tensor, Tensor), Box<dyn Error>> {
///     let (storage, layout) = log_probs.storage_and_layout();
///     let Storage::Cuda(storage) = &*storage else { return Err("not on a CUDA device".into()) };
///     let (start, end) = layout.contiguous_offsets().ok_or("not contiguous")?;
///     let policy = storage.as_cuda_slice::<f32>()?.slice(start..end);
///     let mut values = storage.device.alloc_zeros::<f32>(log_probs.dim(0)?)?;
///     let mut gradient = storage.device.alloc_zeros::<f32>(end - start)?;
///     loss.run_on(&policy, &mut values, &mut gradient)?;
///     let tensor = |slice, shape| {
///         let storage = CudaStorage::wrap_cuda_slice(slice, storage.device.clone());
///         Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false)
///     };
///     Ok((tensor(gradient, log_probs.shape().clone()), tensor(values, log_probs.dim(0)?.into())))
/// }
///
/// // The mean loss's gradient, through candle's graph: d(Σ g log π)/dθ with g as a constant.
/// let (gradient, values) = gradient(&loss, &log_probs)?;
/// let gradients = ((log_probs * gradient)?.sum_all()? / values.dim(0)? as f64)?.backward()?;
/// ```
#[derive(Debug)]
pub struct PreferenceLoss {
    device: Device,
    descriptor: Descriptor,
    function: CudaFunction,
    team: Team,
    prompts: usize,
    responses: usize,
    reference: List,
    measures: List,
    rewards: List,
    supervised: List,
    preferred_lengths: List,
    drawn_from: List,
    samples: List,
    /// Samples of each prompt.
    sample_count: usize,
}

/// What a loss makes of a batch.
#[derive(Debug)]
pub struct PreferenceGradient {
    /// `L`, `[prompts, 1]`. NaN where the row has a number that is not finite, in or out.
    pub values: Array,
    /// `∂L/∂log π_i`, `[prompts, responses]`, of each prompt's own loss; NaN where its value is.
    pub gradient: Array,
}

/// A kernel's parameter by value.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
struct Descriptor(LossDescriptor);

// SAFETY: words and floats in C's order, which the kernel declares alike.
unsafe impl DeviceRepr for Descriptor {}

/// A list on the device, or none.
#[derive(Debug)]
struct List(Option<Storage>);

impl List {
    fn of<T: bytemuck::NoUninit>(device: &Device, numbers: impl Iterator<Item = T>) -> Result<List> {
        let numbers: Vec<T> = numbers.collect();
        let uploaded = || device.uploaded(bytemuck::cast_slice(&numbers));
        Ok(List((!numbers.is_empty()).then(uploaded).transpose()?))
    }

    /// 0 if there is none.
    fn address(&self) -> u64 {
        self.0.as_ref().map_or(0, Storage::address)
    }
}

/// Where a launch reads and writes.
struct Places {
    policy: u64,
    origins: u64,
    values: u64,
    gradient: u64,
    /// `origins` are `log π − log π_ref` itself.
    are_ratios: bool,
}

impl PreferenceLoss {
    /// Checks the batch as hps-core does, rounded to f32, copies its constant lists to the device, and compiles the
    /// kernel.
    ///
    /// * `batch`: its policy is not read. A program whose log-probabilities lie on the device may pass the reference's.
    ///
    /// # Errors
    /// [`ErrorKind::Preference`] for what [`Loss::check`] refuses; the device has no memory left, or failed.
    pub fn new<F: Scalar>(device: &Device, loss: &Loss, batch: &Batch<'_, F>) -> Result<PreferenceLoss> {
        PreferenceLoss::of_rows(device, loss.descriptor()?, batch, &checked(loss, batch)?)
    }

    fn of_rows<F: Scalar>(
        device: &Device,
        descriptor: LossDescriptor,
        batch: &Batch<'_, F>,
        rows: &KernelRows<'_, F>,
    ) -> Result<PreferenceLoss> {
        let (prompts, responses) = (batch.prompts(), batch.responses());
        let team = Team::of(responses);
        Ok(PreferenceLoss {
            device: device.clone(),
            descriptor: Descriptor(descriptor),
            function: compiled(device, &descriptor, team)?,
            team,
            prompts,
            responses,
            reference: List::of(device, rows.reference())?,
            measures: List::of(device, rows.measures())?,
            rewards: List::of(device, rows.rewards())?,
            supervised: List::of(device, rows.supervised())?,
            preferred_lengths: List::of(device, rows.preferred_lengths())?,
            drawn_from: List::of(device, rows.drawn_from())?,
            samples: List::of(device, rows.samples())?,
            sample_count: rows.sample_count(),
        })
    }

    /// Lets `threads` compute a prompt, a power of two up to 256, in place of what the number of responses suggests.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] for another number; the kernel does not compile.
    pub fn with_team(self, threads: u32) -> Result<PreferenceLoss> {
        let team = Team::exactly(threads, self.responses).ok_or_else(|| {
            let message = format!("a team of {threads} threads is no power of two up to {}", Team::LARGEST);
            Error::new(ErrorKind::Shape, message)
        })?;
        Ok(PreferenceLoss { function: compiled(&self.device, &self.descriptor.0, team)?, team, ..self })
    }

    /// Loss and gradient from log-probabilities on the device; `log π − log π_ref` is subtracted there, in f32.
    ///
    /// Near −2000 nats an f32 is good to 1.2e-4, and so is their difference, whoever subtracts; see
    /// [`of_ratios`](Self::of_ratios).
    ///
    /// * `policy`: `[prompts, responses]`.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] for another shape; the device has no memory left, or failed.
    pub fn of_policy(&self, policy: &Array) -> Result<PreferenceGradient> {
        self.run(policy, None)
    }

    /// Loss and gradient where `h = log π − log π_ref` was subtracted in f64, or summed over tokens from differences,
    /// so that it has all its digits.
    ///
    /// * `policy`: `[prompts, responses]`; read by rewards without a reference and by the likelihood.
    /// * `ratios`: `h`, `[prompts, responses]`; read by the other rewards.
    ///
    /// # Errors
    /// As [`of_policy`](Self::of_policy).
    pub fn of_ratios(&self, policy: &Array, ratios: &Array) -> Result<PreferenceGradient> {
        self.run(policy, Some(ratios))
    }

    /// Loss and gradient into the caller's own buffers, on the device's stream, without a copy: as
    /// [`of_policy`](Self::of_policy).
    ///
    /// * `policy`: `prompts · responses` log-probabilities, row by row.
    /// * `values`: takes `L`, one a prompt.
    /// * `gradient`: takes `∂L/∂log π_i`, `prompts · responses`.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if a buffer has another length or lies on another device; the device failed.
    pub fn run_on<P, V, G>(&self, policy: &P, values: &mut V, gradient: &mut G) -> Result<()>
    where
        P: DevicePtr<f32>,
        V: DevicePtrMut<f32>,
        G: DevicePtrMut<f32>,
    {
        let numbers = self.prompts * self.responses;
        self.expect("policy", policy, numbers)?;
        self.expect("values", values, self.prompts)?;
        self.expect("gradient", gradient, numbers)?;
        let stream = self.device.stream();
        // The guards record what the stream does with the buffers; they live until the launch.
        let (policy, _read) = policy.device_ptr(stream);
        let (values, _values_written) = values.device_ptr_mut(stream);
        let (gradient, _gradient_written) = gradient.device_ptr_mut(stream);
        self.launch(&Places { policy, origins: self.reference.address(), values, gradient, are_ratios: false })
    }

    /// As [`run_on`](Self::run_on), from `h = log π − log π_ref`: as [`of_ratios`](Self::of_ratios).
    ///
    /// * `ratios`: `prompts · responses`.
    ///
    /// # Errors
    /// As [`run_on`](Self::run_on).
    pub fn run_ratios_on<P, R, V, G>(&self, policy: &P, ratios: &R, values: &mut V, gradient: &mut G) -> Result<()>
    where
        P: DevicePtr<f32>,
        R: DevicePtr<f32>,
        V: DevicePtrMut<f32>,
        G: DevicePtrMut<f32>,
    {
        let numbers = self.prompts * self.responses;
        self.expect("policy", policy, numbers)?;
        self.expect("ratios", ratios, numbers)?;
        self.expect("values", values, self.prompts)?;
        self.expect("gradient", gradient, numbers)?;
        let stream = self.device.stream();
        let (policy, _read) = policy.device_ptr(stream);
        let (origins, _ratios_read) = ratios.device_ptr(stream);
        let (values, _values_written) = values.device_ptr_mut(stream);
        let (gradient, _gradient_written) = gradient.device_ptr_mut(stream);
        self.launch(&Places { policy, origins, values, gradient, are_ratios: true })
    }

    /// Loss and gradient of a batch that lies on the host, `([prompts], [prompts, responses])`, as
    /// [`Loss::values_and_gradients`]; `log π − log π_ref` is subtracted in `F`.
    ///
    /// # Errors
    /// [`ErrorKind::Preference`] for what hps-core refuses, and for a row with a number that is not finite, in or out,
    /// of which it names the prompt; the device has no memory left, or failed.
    pub fn values_and_gradients<F: Scalar>(
        device: &Device,
        loss: &Loss,
        batch: &Batch<'_, F>,
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let (descriptor, rows) = (loss.descriptor()?, checked(loss, batch)?);
        let on_device = PreferenceLoss::of_rows(device, descriptor, batch, &rows)?;
        let uploaded = |numbers: Vec<f32>| device.upload(&numbers, batch.responses());
        let policy = uploaded(rows.policy().collect())?;
        let computed = if loss.reads_reference() {
            on_device.of_ratios(&policy, &uploaded(rows.ratios().collect())?)?
        } else {
            on_device.of_policy(&policy)?
        };
        let values = device.download(&computed.values)?;
        if let Some(prompt) = values.iter().position(|value| value.is_nan()) {
            let message =
                format!("prompt {prompt}: a log-probability, a score, the loss or its gradient is not finite");
            return Err(Error::new(ErrorKind::Preference(hps_core::ErrorKind::NonFinite), message));
        }
        Ok((values, device.download(&computed.gradient)?))
    }

    fn run(&self, policy: &Array, ratios: Option<&Array>) -> Result<PreferenceGradient> {
        let arrays = [
            ("the number of rows of `policy`", "the number of columns of `policy`", policy),
            ("the number of rows of `ratios`", "the number of columns of `ratios`", ratios.unwrap_or(policy)),
        ];
        for (rows, columns, array) in arrays {
            agree("preference loss", rows, self.prompts, array.rows())?;
            agree("preference loss", columns, self.responses, array.columns())?;
        }
        let wide = self.device.as_format(policy, Format::F32)?;
        let ratios = ratios.map(|ratios| self.device.as_format(ratios, Format::F32)).transpose()?;
        let values = self.device.undefined(self.prompts, 1, Format::F32)?;
        let gradient = self.device.undefined(self.prompts, self.responses, Format::F32)?;
        self.launch(&Places {
            policy: wide.address(),
            origins: ratios.as_ref().map_or(self.reference.address(), |ratios| ratios.address()),
            values: values.address(),
            gradient: gradient.address(),
            are_ratios: ratios.is_some(),
        })?;
        Ok(PreferenceGradient { values, gradient })
    }

    fn launch(&self, places: &Places) -> Result<()> {
        let Places { policy, origins, values, gradient, are_ratios } = *places;
        if self.prompts == 0 {
            return Ok(());
        }
        let scratch = match self.team.is_long() {
            true => Some(self.device.storage(8 * self.prompts * self.responses)?),
            false => None,
        };
        let scratch = scratch.as_ref().map_or(0, Storage::address);
        let lists = [&self.measures, &self.rewards, &self.supervised, &self.preferred_lengths, &self.drawn_from];
        let [measures, rewards, supervised, preferred_lengths, drawn_from] = lists.map(List::address);
        let samples = self.samples.address();
        let (prompts, responses) = (narrow(self.prompts), narrow(self.responses));
        let sample_count = narrow(self.sample_count);
        let are_ratios = u32::from(are_ratios);
        // Every row begins at a multiple of what is read at once.
        let alignment = (policy | origins | gradient | (4 * self.responses as u64)).trailing_zeros().clamp(2, 4);
        let width = 1u32 << (alignment - 2);

        let _turn = self.device.turn();
        let mut builder = self.device.stream().launch_builder(&self.function);
        builder.arg(&self.descriptor);
        for address in [&policy, &origins, &measures, &rewards, &supervised, &preferred_lengths, &drawn_from, &samples]
        {
            builder.arg(address);
        }
        builder.arg(&scratch).arg(&values).arg(&gradient);
        for word in [&prompts, &responses, &sample_count, &are_ratios, &width] {
            builder.arg(word);
        }
        let config = LaunchConfig {
            grid_dim: (narrow(self.team.blocks(self.prompts)), 1, 1),
            block_dim: (self.team.block(), 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: the parameters are the kernel's, and every list has the length that its prompts and responses say:
        // those of this loss were checked by hps-core, the others' shapes by the callers.
        unsafe { builder.launch(config) }.during("the preference loss").map(drop)
    }

    /// Refuses a buffer of another length or of another device.
    fn expect(&self, what: &str, buffer: &impl DeviceSlice<f32>, numbers: usize) -> Result<()> {
        let [own, other] = [self.device.stream(), buffer.stream()].map(|stream| stream.context().ordinal());
        if (buffer.len(), other) == (numbers, own) {
            return Ok(());
        }
        agree("preference loss", &format!("the length of `{what}`"), numbers, buffer.len())?;
        agree("preference loss", &format!("the device of `{what}`"), own, other)
    }
}

fn checked<'a, F: Scalar>(loss: &Loss, batch: &Batch<'a, F>) -> Result<KernelRows<'a, F>> {
    Ok(loss.kernel_rows(batch, &mut vec![0.0; Loss::scratch_len(batch.responses())])?)
}

fn compiled(device: &Device, descriptor: &LossDescriptor, team: Team) -> Result<CudaFunction> {
    let kernel = family::kernel(descriptor).ok_or_else(|| {
        let LossDescriptor { pair, preference, .. } = descriptor;
        Error::new(ErrorKind::Shape, format!("no kernel for preference {preference} of pair {pair}"))
    })?;
    device.function(kernel, &team.defines())
}
