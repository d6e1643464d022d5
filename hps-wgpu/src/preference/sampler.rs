//! Which negatives a seed draws, on the device: the same as `hps_core::NegativeSampler`, for `[prompts, responses]`.

use crate::device::Device;
use crate::device::array::{Array, Indices};
use crate::device::kernel::{Kernel, Variant};
use crate::device::launch::{grid, parts, windows};
use crate::error::{Error, ErrorKind, Result, agree};
use crate::preference::team::Team;
use hps_core::{NegativeSampler, Position, Scalar, TiePolicy};

const DRAW: Kernel = Kernel::new(include_str!("sampler.wgsl"), "draw").named("draw_negatives");

/// Multiplications of one draw, about: a Philox block, its products of words taken apart, and the search.
const DRAW_WORK: u64 = 512;

/// All kernels that devices may be asked for.
pub(crate) fn variants() -> Vec<Variant> {
    Team::all().map(|team| (DRAW, team.constants().to_vec())).collect()
}

/// What negatives are drawn from: one integer a response ([`NegativeSampler::exponents`]), on the device.
///
/// ```
/// use hps_core::{NegativeSampler, Position, TiePolicy};
/// use hps_wgpu::{Device, NegativeDraws};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let Ok(device) = Device::open(None) else { return Ok(()) }; // no adapter here
/// let rewards = [2.0, 1.5, -0.5, -3.0, 1.0, 0.0, 0.0, 0.0];
/// let draws = NegativeDraws::new(&device, 4, &rewards, 0.5, TiePolicy::Keep)?;
/// let drawn = draws.draw(7, &[3, 4], Position::default(), 6)?.download()?;
/// let mut first = [0; 6];
/// let position = Position { row: 3, epoch: 0, draw: 0 };
/// NegativeSampler::new(7).draw_many(&rewards[..4], 0.5, TiePolicy::Keep, position, &mut first)?;
/// assert_eq!(drawn[..6], first);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct NegativeDraws {
    device: Device,
    prompts: usize,
    responses: usize,
    exponents: Indices,
    half_powers: Indices,
}

/// Drawn indices on the device, `[prompts, draws]`, each of a response in its own row.
#[derive(Debug)]
pub struct DrawnNegatives {
    device: Device,
    /// Bits of integers.
    indices: Array,
}

impl NegativeDraws {
    /// Forms the exponents, in f64 on the host, and copies them to the device.
    ///
    /// * `responses`: of each prompt.
    /// * `rewards`: `[prompts, responses]`, best first.
    /// * `gamma`, `ties`: as for [`NegativeSampler::draw`].
    pub fn new<F: Scalar>(
        device: &Device,
        responses: usize,
        rewards: &[F],
        gamma: f64,
        ties: TiePolicy,
    ) -> Result<NegativeDraws> {
        let prompts = rewards.len().checked_div(responses).unwrap_or(0);
        agree("negative draws", "the number of rewards", prompts * responses, rewards.len())?;
        let mut exponents = vec![0; rewards.len()];
        for (out, rewards) in exponents.chunks_mut(responses.max(1)).zip(rewards.chunks(responses.max(1))) {
            NegativeSampler::exponents(rewards, gamma, ties, out)?;
        }
        let exponents = device.upload_indices(&exponents)?;
        let half_powers = device.upload_indices(&NegativeSampler::HALF_POWERS)?;
        Ok(NegativeDraws { device: device.clone(), prompts, responses, exponents, half_powers })
    }

    /// Draws `draws` negatives for every prompt, independently, at `first.draw`, `first.draw + 1`, …
    ///
    /// * `rows`: the prompts' line numbers in their input; `first.row` is not read.
    pub fn draw(&self, seed: u64, rows: &[u32], first: Position, draws: usize) -> Result<DrawnNegatives> {
        agree("negative draws", "the number of rows", self.prompts, rows.len())?;
        let within =
            u32::try_from(draws).ok().filter(|&draws| draws == 0 || first.draw.checked_add(draws - 1).is_some());
        if within.is_none() || self.prompts * draws.max(self.responses) >= 1 << 31 {
            let message = format!("{draws} draws from draw {} for {} prompts", first.draw, self.prompts);
            return Err(Error::new(ErrorKind::Shape, format!("{message} are more than a kernel counts")));
        }
        let (device, responses) = (&self.device, self.responses);
        let indices = device.undefined(self.prompts, draws)?;
        if draws == 0 {
            return Ok(DrawnNegatives { device: device.clone(), indices });
        }
        let rows = device.upload_indices(rows)?;
        let team = Team::of(responses, 16);
        // A Philox block's rounds, the search, the walk along a run.
        let iterations = 32 + team.run(responses);
        let most = ((device.iterations() / iterations).clamp(2, 1 << 20) - 1) as usize * team.threads();
        device.expect_iterations("negative draws", 2 * iterations)?;
        for draws_now in parts(0..draws, most) {
            let work = 32 * responses as u64 + draws_now.len() as u64 * DRAW_WORK;
            let prompts_at_once = (device.work_limit() / work).max(1) as usize;
            for window in windows(device, self.prompts, 4 * responses.max(draws) as u64, 0)? {
                let bindings = [
                    self.half_powers.binding(),
                    self.exponents.numbers(&(window.start * responses..window.end * responses)),
                    rows.numbers(&window),
                    indices.window(&window),
                ];
                for prompts in parts(0..window.len(), prompts_at_once) {
                    let groups = grid(team.groups(prompts.len()));
                    let ranges = [prompts.start, prompts.end, draws_now.start, draws_now.end];
                    let [first_prompt, end_prompt, first_draw, end_draw] = ranges.map(|number| number as u32);
                    let parameters = [
                        seed as u32,
                        (seed >> 32) as u32,
                        first.epoch,
                        first.draw,
                        draws as u32,
                        responses as u32,
                        first_prompt,
                        end_prompt,
                        first_draw,
                        end_draw,
                    ];
                    let work = work * prompts.len() as u64;
                    device.run(&DRAW, &team.constants(), &parameters, &bindings, groups, work)?;
                }
            }
        }
        Ok(DrawnNegatives { device: device.clone(), indices })
    }
}

impl DrawnNegatives {
    /// Their buffer, u32 from its start; it may be longer.
    pub fn buffer(&self) -> &wgpu::Buffer {
        self.indices.buffer()
    }

    /// Copies them to the host, as [`hps_core::Batch::with_samples`] takes them; waits for the device.
    pub fn download(&self) -> Result<Vec<usize>> {
        let bytes = self.device.downloaded(self.indices.storage(), self.indices.bytes())?;
        let indices: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        Ok(indices.into_iter().map(|index| index as usize).collect())
    }
}
