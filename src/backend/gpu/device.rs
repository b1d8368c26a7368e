//! Adapters: which there are, which is the best, and one opened, with an eye on whether it still works.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use wgpu::{Adapter, BufferUsages, DeviceType, ErrorFilter};

use super::variant::{Choice, Kernels};
use crate::backend::info::{DeviceInfo, DeviceKind, DeviceLimits};
use crate::error::{Error, ErrorKind, Hint, Result};

/// All adapters, the best first: real ones before software. Their order is that of `gpu:N`.
pub(crate) async fn adapters() -> Vec<(Adapter, DeviceInfo)> {
    // Checking indirect calls costs an extra dispatch each; `gather` writes what they read.
    let flags =
        wgpu::InstanceFlags::empty().with_env() - wgpu::InstanceFlags::VALIDATION_INDIRECT_CALL;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        flags,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    // Vulkan drivers offer their GPU through GLES too: that way is for machines that have no other.
    let named = wgpu::Backends::from_env();
    let native = named.unwrap_or(wgpu::Backends::all() - wgpu::Backends::GL);
    let mut adapters = instance.enumerate_adapters(native).await;
    if adapters.is_empty() && named.is_none() {
        adapters = instance.enumerate_adapters(wgpu::Backends::GL).await;
    }
    adapters.sort_by_key(|adapter| kind(adapter.get_info().device_type));
    let described = |(number, adapter): (usize, Adapter)| {
        let info = describe(number, &adapter);
        (adapter, info)
    };
    adapters.into_iter().enumerate().map(described).collect()
}

fn kind(device_type: DeviceType) -> DeviceKind {
    match device_type {
        DeviceType::DiscreteGpu => DeviceKind::Discrete,
        DeviceType::IntegratedGpu => DeviceKind::Integrated,
        DeviceType::VirtualGpu => DeviceKind::Virtual,
        DeviceType::Other => DeviceKind::Other,
        DeviceType::Cpu => DeviceKind::Software,
    }
}

fn describe(number: usize, adapter: &Adapter) -> DeviceInfo {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    let driver = [info.driver, info.driver_info];
    DeviceInfo {
        number,
        name: info.name,
        backend: info.backend.to_str().to_string(),
        driver: driver.join(" ").trim().to_string(),
        kind: kind(info.device_type),
        f16: features.contains(wgpu::Features::SHADER_F16),
        subgroups: features
            .contains(wgpu::Features::SUBGROUP)
            .then_some([info.subgroup_min_size, info.subgroup_max_size]),
        cooperative_matrix: features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX)
            && !adapter.cooperative_matrix_properties().is_empty(),
        limits: described(&limits),
        unsupported_reason: missing(adapter, &limits),
    }
}

fn described(limits: &wgpu::Limits) -> DeviceLimits {
    DeviceLimits {
        buffer: limits
            .max_buffer_size
            .min(limits.max_storage_buffer_binding_size),
        workgroup_memory: limits.max_compute_workgroup_storage_size,
        workgroup_size: limits.max_compute_invocations_per_workgroup,
        storage_buffers: limits.max_storage_buffers_per_shader_stage,
    }
}

/// What the kernels need: no more than WebGPU's default limits, but all memory that there is.
fn needed(has: &wgpu::Limits) -> wgpu::Limits {
    wgpu::Limits {
        max_storage_buffers_per_shader_stage: 8,
        max_compute_workgroup_storage_size: 16 << 10,
        max_compute_invocations_per_workgroup: 256,
        max_compute_workgroup_size_x: 256,
        max_compute_workgroup_size_y: 8,
        max_compute_workgroup_size_z: 1,
        max_compute_workgroups_per_dimension: MAX_GRID,
        max_buffer_size: has.max_buffer_size,
        max_storage_buffer_binding_size: has.max_storage_buffer_binding_size,
        ..wgpu::Limits::downlevel_webgl2_defaults()
    }
}

/// Workgroups along one axis of a dispatch.
pub(super) const MAX_GRID: u32 = 65_535;

/// What the adapter, or a device with less than all that it has, lacks, in words.
fn missing(adapter: &Adapter, limits: &wgpu::Limits) -> Option<String> {
    let flags = adapter.get_downlevel_capabilities().flags;
    if !flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
        return Some("it has no compute shaders".into());
    }
    let mut missing = None;
    needed(limits).check_limits_with_fail_fn(limits, false, |name, needed, has| {
        missing.get_or_insert(format!("its {name} is {has}, {needed} are needed"));
    });
    missing
}

/// Whether a device works. wgpu reports from callbacks; the next call asks here.
#[derive(Debug, Default)]
pub(super) struct Health {
    failure: Mutex<Option<String>>,
}

impl Health {
    /// Keeps the first failure.
    pub(super) fn fail(&self, message: impl fmt::Display) {
        let mut failure = self.failure.lock().unwrap_or_else(|e| e.into_inner());
        failure.get_or_insert_with(|| on_a_line(message));
    }
}

/// wgpu's messages have several lines, indented.
fn on_a_line(message: impl fmt::Display) -> String {
    let message = message.to_string();
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A device, opened.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) health: Arc<Health>,
    /// Whether the device can tell itself how many workgroups to run.
    pub(super) indirect: bool,
    /// Buffers, pipelines and bind groups that were ever made.
    made: AtomicUsize,
    info: DeviceInfo,
    vendor: u32,
}

impl Context {
    /// Opens the best usable adapter, or one by its number.
    pub(super) async fn open(number: Option<usize>) -> Result<Context> {
        let mut all = adapters().await;
        let count = all.len();
        let position = match number {
            Some(number) => (number < count).then_some(number),
            None => all
                .iter()
                .position(|(_, info)| info.unsupported_reason.is_none()),
        };
        let Some(position) = position else {
            let message = match (number, all.first()) {
                (_, None) => "no GPU: no driver offers an adapter".to_string(),
                (Some(n), _) => format!("no GPU {n}: there are {count}, numbered from 0"),
                (None, Some((_, info))) => {
                    let why = info.unsupported_reason.as_deref().unwrap_or_default();
                    format!("no GPU can run the kernels; {}: {why}", info.name)
                }
            };
            let hint = match (number, count) {
                (Some(_), 1..) => Hint::ListDevices,
                _ => Hint::UseCpu,
            };
            return Err(Error::new(ErrorKind::Device, message).with_hint(hint));
        };
        let (adapter, info) = all.swap_remove(position);
        let place = info.to_string();
        if let Some(missing) = &info.unsupported_reason {
            return Err(Error::new(
                ErrorKind::Device,
                format!("it cannot run the kernels: {missing}"),
            )
            .context(place));
        }
        let wanted = wgpu::DeviceDescriptor {
            label: Some("trm"),
            required_limits: needed(&adapter.limits()),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = adapter.request_device(&wanted).await.map_err(|e| {
            Error::new(ErrorKind::Device, format!("cannot be opened: {e}"))
                .context(place)
                .with_source(e)
        })?;
        let context = Context::new(&adapter, device, queue, info);
        let (errors, losses) = (context.health.clone(), context.health.clone());
        context
            .device
            .on_uncaptured_error(Arc::new(move |e| errors.fail(e)));
        context
            .device
            .set_device_lost_callback(move |reason, message| {
                losses.fail(format_args!("the device was lost ({reason:?}): {message}"));
            });
        Ok(context)
    }

    /// A device that an app has opened. Its callbacks for errors and losses stay the app's.
    pub(super) fn shared(
        adapter: &Adapter,
        device: wgpu::Device,
        queue: wgpu::Queue,
    ) -> Result<Context> {
        let limits = device.limits();
        let info = DeviceInfo {
            name: format!("{} of the app", adapter.get_info().name),
            limits: described(&limits),
            unsupported_reason: missing(adapter, &limits),
            ..describe(0, adapter)
        };
        if let Some(missing) = &info.unsupported_reason {
            let message = format!(
                "it cannot run the kernels: {missing}; ask for more when the device is opened"
            );
            return Err(Error::new(ErrorKind::Device, message).context(info));
        }
        Ok(Context::new(adapter, device, queue, info))
    }

    fn new(
        adapter: &Adapter,
        device: wgpu::Device,
        queue: wgpu::Queue,
        info: DeviceInfo,
    ) -> Context {
        let flags = adapter.get_downlevel_capabilities().flags;
        Context {
            device,
            queue,
            health: Arc::default(),
            indirect: flags.contains(wgpu::DownlevelFlags::INDIRECT_EXECUTION),
            made: AtomicUsize::new(0),
            info,
            vendor: adapter.get_info().vendor,
        }
    }

    /// The adapter, for people.
    pub(super) fn description(&self) -> String {
        self.info.to_string()
    }

    /// How the calls of a model are run here.
    pub(super) fn choice(&self, kernels: Kernels) -> Choice {
        Choice {
            kernels,
            kind: self.info.kind,
            vendor: self.vendor,
        }
    }

    /// The adapter and its driver, as what is measured here is kept under.
    pub(super) fn adapter(&self) -> String {
        let DeviceInfo {
            name,
            backend,
            driver,
            ..
        } = &self.info;
        format!("{name} ({backend}, {driver})")
    }

    /// An error of kind device about this adapter.
    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Device, message).context(&self.info)
    }

    /// An error if the device has failed at any time before.
    pub(super) fn check(&self) -> Result<()> {
        let failure = self
            .health
            .failure
            .lock()
            .unwrap_or_else(|e| e.into_inner());
        match &*failure {
            Some(message) => Err(self.error(message.clone())),
            None => Ok(()),
        }
    }

    /// Makes something whose failure is an error here and not one of the whole device.
    pub(super) async fn make<T>(
        &self,
        what: &str,
        make: impl FnOnce(&wgpu::Device) -> T,
    ) -> Result<T> {
        let memory = self.device.push_error_scope(ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(ErrorFilter::Internal);
        let validation = self.device.push_error_scope(ErrorFilter::Validation);
        let made = make(&self.device);
        let found = [
            validation.pop().await,
            internal.pop().await,
            memory.pop().await,
        ];
        if let Some(e) = found.into_iter().flatten().next() {
            let message = on_a_line(e);
            return Err(self.error(format!("{what}: {message}")));
        }
        self.check()?;
        self.made.fetch_add(1, Ordering::Relaxed);
        Ok(made)
    }

    /// How many buffers, pipelines and bind groups were ever made here.
    pub(super) fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    /// A buffer of zeros, large enough to be bound and of whole vectors.
    pub(super) async fn buffer(
        &self,
        name: &str,
        bytes: usize,
        usage: BufferUsages,
    ) -> Result<wgpu::Buffer> {
        let size = (bytes.max(1) as u64)
            .checked_next_multiple_of(16)
            .unwrap_or(u64::MAX);
        let limit = self.info.limits.buffer;
        if size > limit {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            return Err(self
                .error(format!(
                    "{name} takes {} MiB, a buffer here holds {}",
                    mib(size),
                    mib(limit)
                ))
                .with_hint(Hint::ReduceBatch));
        }
        let descriptor = wgpu::BufferDescriptor {
            label: Some(name),
            size,
            usage,
            mapped_at_creation: false,
        };
        self.make(name, |device| device.create_buffer(&descriptor))
            .await
    }
}
