//! A plain large matrix product in WGSL, outside the library and on a device of its own.

use trm_runtime::DeviceInfo;
use wgpu::util::{BufferInitDescriptor, DeviceExt};

use crate::models::Noise;
use crate::timing::{TimeBudget, measure};

/// Returns the GFLOP/s of a product of `n` x `n` matrices in f32 (`product.wgsl`). `n` is a
/// multiple of 128.
pub(crate) fn gflops(info: &DeviceInfo, n: usize, budget: TimeBudget) -> Result<f64, String> {
    pollster::block_on(Product::new(info, n))?.gflops(budget)
}

#[derive(Debug)]
struct Product {
    n: usize,
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    /// a, b and c of `product.wgsl`.
    buffers: [wgpu::Buffer; 3],
    inputs: [Vec<f32>; 2],
}

impl Product {
    async fn new(info: &DeviceInfo, n: usize) -> Result<Self, String> {
        let adapter = adapter(info)
            .await
            .ok_or("the adapter was not found again")?;
        let descriptor = wgpu::DeviceDescriptor {
            required_limits: wgpu::Limits::downlevel_defaults(),
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|e| e.to_string())?;
        let shader = wgpu::ShaderSource::Wgsl(include_str!("product.wgsl").into());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: shader,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("product"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[("N", n as f64)],
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        let mut noise = Noise(3);
        let inputs = [noise.values(n * n), noise.values(n * n)];
        let zeros = vec![0.0; n * n];
        let buffers = [&inputs[0], &inputs[1], &zeros].map(|values| {
            device.create_buffer_init(&BufferInitDescriptor {
                label: None,
                contents: bytemuck::cast_slice(values),
                usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
            })
        });
        let entries: Vec<_> = (0..)
            .zip(&buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        Ok(Self {
            n,
            device,
            queue,
            pipeline,
            group,
            buffers,
            inputs,
        })
    }

    fn gflops(&self, budget: TimeBudget) -> Result<f64, String> {
        let sample = measure(budget, 64, |products| {
            let mut encoder = self
                .device
                .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &self.group, &[]);
            let tiles = (self.n / 128) as u32;
            (0..products).for_each(|_| pass.dispatch_workgroups(tiles, tiles, 1));
            drop(pass);
            self.queue.submit([encoder.finish()]);
            self.wait()
        })?;
        self.check()?;
        Ok(2.0 * (self.n as f64).powi(3) / sample.best / 1e6)
    }

    fn wait(&self) -> Result<(), String> {
        let waited = self.device.poll(wgpu::PollType::wait_indefinitely());
        waited.map(drop).map_err(|e| e.to_string())
    }

    /// Checks the result: the speed of a wrong product means nothing.
    fn check(&self) -> Result<(), String> {
        let n = self.n;
        let [_, _, c] = &self.buffers;
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: c.size(),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(c, 0, &staging, 0, c.size());
        self.queue.submit([encoder.finish()]);
        staging.map_async(wgpu::MapMode::Read, .., |_| ());
        self.wait()?;
        let view = staging.get_mapped_range(..).map_err(|e| e.to_string())?;
        let got: &[f32] = bytemuck::cast_slice(&view);
        let [a, b] = &self.inputs;
        // Elements from all parts of a tile and of the matrix.
        for i in 0..64 {
            let (row, column) = (i * 37 * n / 2048 % n, i * 101 % n);
            let exact: f64 = (0..n)
                .map(|k| f64::from(a[k * n + row]) * f64::from(b[k * n + column]))
                .sum();
            let got = f64::from(got[row * n + column]);
            if (got - exact).abs() > 1e-3 {
                return Err(format!(
                    "element {row}, {column} of the product is {got}, not {exact}"
                ));
            }
        }
        Ok(())
    }
}

/// Finds the adapter again, by its name and its backend.
async fn adapter(info: &DeviceInfo) -> Option<wgpu::Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let all = instance.enumerate_adapters(wgpu::Backends::all()).await;
    all.into_iter().find(|adapter| {
        let found = adapter.get_info();
        found.name == info.name && found.backend.to_str() == info.backend
    })
}
