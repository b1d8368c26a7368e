//! The WGSL kernels, their bindings and their compiled pipelines.
//!
//! Each row of the table below is a file of `shaders/`: its shared files, and the buffers that it
//! reads and writes, in the order of their binding numbers. The sources are part of the program.
//! [`Pipelines`] compiles a kernel once for each set of constants (values of WGSL overrides).
//! Tests compare the table with the files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::device::Context;
use crate::error::Result;

/// A kernel in WGSL.
#[derive(Debug)]
pub(super) struct Kernel {
    /// The name of the kernel, of its entry point and of its file.
    pub(super) name: &'static str,
    /// The shared files and the kernel's own file, one after the other.
    source: &'static str,
    /// Bindings that are read only, from binding 0 on.
    reads: &'static [&'static str],
    /// Bindings that are written, after those that are read.
    writes: &'static [&'static str],
}

impl Kernel {
    /// Returns whether the kernel has the constant `EPS`, because it normalises.
    pub(super) fn has_eps(&self) -> bool {
        self.source.contains("override EPS:")
    }

    fn binding_count(&self) -> usize {
        self.reads.len() + self.writes.len()
    }
}

macro_rules! kernels {
    ($($constant:ident: $name:literal uses [$($shared:literal),*]
        reads [$($read:literal),*] writes [$($written:literal),*];)*) => {
        $(
            #[doc = concat!("`shaders/", $name, ".wgsl`")]
            pub(super) static $constant: Kernel = Kernel {
                name: $name,
                // The order of declarations does not matter in WGSL.
                source: concat!(
                    $(include_str!(concat!("../../../shaders/shared/", $shared, ".wgsl")),)*
                    include_str!(concat!("../../../shaders/", $name, ".wgsl"))
                ),
                reads: &[$($read),*],
                writes: &[$($written),*],
            };
        )*

        /// All kernels, one per file of `shaders/`.
        #[cfg(test)]
        pub(super) static ALL: &[&Kernel] = &[$(&$constant),*];
    };
}

kernels! {
    EMBED: "embed" uses []
        reads ["live", "tokens", "prefix", "embedding", "positions"] writes ["out"];
    ADD: "add" uses []
        reads ["live", "source0", "source1", "source2", "source3", "source4"] writes ["out"];
    TOKEN_MIX: "token_mix" uses ["math", "weights", "gate_up", "sources"]
        reads ["live", "gate_up", "down", "source0", "source1", "source2", "source3"]
        writes ["out"];
    TOKEN_MIX_DIRECT_GATE: "token_mix_direct_gate" uses ["math", "weights", "gate_up", "source4"]
        reads ["live", "gate_up", "source"] writes ["gated"];
    TOKEN_MIX_DIRECT_DOWN: "token_mix_direct_down" uses ["math", "weights", "source4"]
        reads ["live", "down", "source", "gated"] writes ["sums"];
    QKV_ROPE: "qkv_rope" uses ["math", "weights", "sources", "channel_pairs"]
        reads ["live", "qkv", "rope", "source0", "source1", "source2", "source3"] writes ["out"];
    QKV_ROPE_DIRECT: "qkv_rope_direct" uses ["math", "weights", "source4", "channel_pairs"]
        reads ["live", "qkv", "rope", "source"] writes ["out"];
    ATTENTION: "attention" uses ["store4"]
        reads ["live", "qkv"] writes ["out"];
    ATTENTION_DIRECT: "attention_direct" uses []
        reads ["live", "qkv"] writes ["out"];
    SWIGLU: "swiglu" uses ["math", "weights", "gate_up", "store4", "store_gated"]
        reads ["live", "gate_up", "source"] writes ["out"];
    SWIGLU_DIRECT: "swiglu_direct"
        uses ["math", "weights", "gate_up", "source4", "store4", "store_gated"]
        reads ["live", "gate_up", "source"] writes ["out"];
    UNIT_SUMS: "unit_sums" uses []
        reads ["live", "source"] writes ["out"];
    PROJECT_ADD_NORM: "project_add_norm" uses ["math", "weights", "residuals", "store4"]
        reads ["live", "weight", "source", "residual0", "residual1", "residual2", "residual3"]
        writes ["out"];
    PROJECT_DIRECT: "project_direct" uses ["math", "weights", "residuals", "source4"]
        reads ["live", "weight", "source", "residual0", "residual1", "residual2", "residual3"]
        writes ["sums"];
    NORM_DIRECT: "norm_direct" uses ["math", "store4"]
        reads ["live", "sums"] writes ["out"];
    PROJECT_SPLIT: "project_split" uses ["math", "weights"]
        reads ["live", "weight", "source"] writes ["parts"];
    ADD_NORM: "add_norm" uses ["math", "residuals"]
        reads ["live", "parts", "residual0", "residual1", "residual2", "residual3"] writes ["out"];
    HALT: "halt" uses ["math"]
        reads ["live", "weight", "bias", "state", "params"] writes ["out", "statuses"];
    GATHER: "gather" uses []
        reads ["statuses"] writes ["live", "grids"];
    DECODE: "decode" uses ["math"]
        reads ["live", "weight", "state"] writes ["logits", "answer"];
}

/// Values of a kernel's overrides.
pub(super) type Constants = Vec<(&'static str, f64)>;

/// The compiled kernels of a device.
#[derive(Debug, Default)]
pub(super) struct Pipelines {
    compiled: Mutex<HashMap<PipelineKey, Arc<Pipeline>>>,
}

/// The name of a kernel, and the bits of its constants.
type PipelineKey = (&'static str, Vec<(&'static str, u64)>);

/// A kernel, compiled with one set of constants.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) compiled: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    name: &'static str,
}

impl Pipelines {
    /// Returns the kernel with these constants, compiled at the first call.
    ///
    /// # Errors
    /// The driver cannot compile it.
    pub(super) async fn get(
        &self,
        context: &Context,
        kernel: &'static Kernel,
        constants: &Constants,
    ) -> Result<Arc<Pipeline>> {
        let key = (
            kernel.name,
            constants
                .iter()
                .map(|(name, v)| (*name, v.to_bits()))
                .collect(),
        );
        let known = self
            .compiled
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .get(&key)
            .cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let what = format!("kernel {}", kernel.name);
        let pipeline = context
            .create(&what, |device| compile(device, kernel, constants))
            .await?;
        let pipeline = Arc::new(pipeline);
        self.compiled
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .insert(key, pipeline.clone());
        Ok(pipeline)
    }
}

fn compile(device: &wgpu::Device, kernel: &'static Kernel, constants: &Constants) -> Pipeline {
    let label = Some(kernel.name);
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label,
        source: wgpu::ShaderSource::Wgsl(kernel.source.into()),
    });
    let entries: Vec<_> = (0..kernel.binding_count())
        .zip(0..)
        .map(|(index, binding)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage {
                    read_only: index < kernel.reads.len(),
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label,
        entries: &entries,
    });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label,
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let compiled = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label,
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: label,
        compilation_options: wgpu::PipelineCompilationOptions {
            constants,
            // Every kernel writes workgroup memory before it reads it. On Metal one invocation
            // would do the zeroing.
            zero_initialize_workgroup_memory: false,
        },
        cache: None,
    });
    Pipeline {
        compiled,
        layout,
        name: kernel.name,
    }
}

impl Pipeline {
    /// Binds the buffers of one dispatch, given in the order of the kernel's bindings.
    pub(super) async fn bind(
        &self,
        context: &Context,
        buffers: &[&wgpu::Buffer],
    ) -> Result<wgpu::BindGroup> {
        let entries: Vec<_> = buffers
            .iter()
            .zip(0..)
            .map(|(buffer, binding)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let descriptor = wgpu::BindGroupDescriptor {
            label: Some(self.name),
            layout: &self.layout,
            entries: &entries,
        };
        context
            .create(self.name, |device| device.create_bind_group(&descriptor))
            .await
    }
}

#[cfg(test)]
impl Kernel {
    /// Returns how many of the bindings are read only.
    pub(super) fn read_count(&self) -> usize {
        self.reads.len()
    }

    /// Parses the source.
    pub(super) fn parsed(&self) -> naga::Module {
        naga::front::wgsl::parse_str(self.source).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn shaders() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders")
    }

    /// Returns number, name and whether it is written, of every binding of group 0.
    fn bindings(module: &naga::Module) -> Vec<(u32, String, bool)> {
        let mut found = Vec::new();
        for (_, variable) in module.global_variables.iter() {
            if let Some(binding) = variable.binding {
                assert_eq!(binding.group, 0);
                let naga::AddressSpace::Storage { access } = variable.space else {
                    panic!("{:?} is not a storage buffer", variable.name)
                };
                let name = variable.name.clone().unwrap();
                let written = access.contains(naga::StorageAccess::STORE);
                found.push((binding.binding, name, written));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn the_table_has_the_bindings_of_the_shaders() {
        for kernel in ALL {
            let module = kernel.parsed();
            let names = kernel.reads.iter().chain(kernel.writes).enumerate();
            let known: Vec<_> = names
                .map(|(i, name)| (i as u32, name.to_string(), i >= kernel.reads.len()))
                .collect();
            assert_eq!(bindings(&module), known, "{}", kernel.name);
            assert!(known.len() <= 8, "{}: more than WebGPU allows", kernel.name);
            assert_eq!(module.entry_points.len(), 1);
            assert_eq!(module.entry_points[0].name, kernel.name);
        }
    }

    /// A source is the shared files that the shader names, and the shader.
    #[test]
    fn the_table_has_the_shared_files_that_the_shaders_name() {
        for kernel in ALL {
            let path = shaders().join(format!("{}.wgsl", kernel.name));
            let shader = std::fs::read_to_string(path).unwrap();
            let mut source = String::new();
            for rest in shader.split("shared/").skip(1) {
                let (name, _) = rest.split_once(".wgsl").unwrap();
                let path = shaders().join(format!("shared/{name}.wgsl"));
                source +=
                    &std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
            }
            assert_eq!(kernel.source, source + &shader, "{}", kernel.name);
        }
    }

    /// Every file of `shaders/` is a kernel, and every override has a default, so that a shader
    /// translates without constants.
    #[test]
    fn every_file_is_a_kernel_whose_overrides_have_defaults() {
        let mut files: Vec<String> = std::fs::read_dir(shaders())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".wgsl").map(String::from))
            .collect();
        files.sort();
        let mut names: Vec<_> = ALL.iter().map(|k| k.name).collect();
        names.sort_unstable();
        assert_eq!(files, names);
        for kernel in ALL {
            for (_, constant) in kernel.parsed().overrides.iter() {
                assert!(
                    constant.init.is_some(),
                    "{}: {:?}",
                    kernel.name,
                    constant.name
                );
            }
        }
    }
}
