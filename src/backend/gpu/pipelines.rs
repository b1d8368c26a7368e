//! The kernels' WGSL files, what they bind, and their compiled pipelines.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::device::Context;
use crate::error::Result;

/// A WGSL file of `shaders/`, as this side knows it; a test compares both.
#[derive(Debug)]
pub(super) struct Kernel {
    /// Its name, and that of its entry point and its file.
    pub(super) name: &'static str,
    source: &'static str,
    /// Its bindings in order; the last ones are written.
    bindings: &'static [&'static str],
    /// How many of the bindings, at the end, are written.
    written: usize,
    /// Whether it has the constant `EPS`.
    pub(super) norms: bool,
}

macro_rules! kernels {
    ($($constant:ident, $name:literal, $bindings:expr, $written:literal, $norms:literal;)*) => {
        $(
            #[doc = concat!("`shaders/", $name, ".wgsl`")]
            pub(super) static $constant: Kernel = Kernel {
                name: $name,
                source: include_str!(concat!("../../../shaders/", $name, ".wgsl")),
                bindings: &$bindings,
                written: $written,
                norms: $norms,
            };
        )*

        /// Every file of `shaders/`.
        #[cfg(test)]
        pub(super) static ALL: &[&Kernel] = &[$(&$constant),*];
    };
}

kernels! {
    EMBED, "embed",
        ["live", "tokens", "prefix", "embedding", "positions", "out"], 1, false;
    ADD, "add",
        ["live", "source0", "source1", "source2", "source3", "source4", "out"], 1, false;
    TOKEN_MIX, "token_mix",
        ["live", "gate_up", "down", "source0", "source1", "source2", "source3", "out"], 1, true;
    TOKEN_MIX_DIRECT_GATE, "token_mix_direct_gate",
        ["live", "gate_up", "source", "gated"], 1, false;
    TOKEN_MIX_DIRECT_DOWN, "token_mix_direct_down",
        ["live", "down", "source", "gated", "sums"], 1, false;
    QKV_ROPE, "qkv_rope",
        ["live", "qkv", "rope", "source0", "source1", "source2", "source3", "out"], 1, false;
    QKV_ROPE_DIRECT, "qkv_rope_direct",
        ["live", "qkv", "rope", "source", "out"], 1, false;
    ATTENTION, "attention",
        ["live", "qkv", "out"], 1, false;
    ATTENTION_DIRECT, "attention_direct",
        ["live", "qkv", "out"], 1, false;
    SWIGLU, "swiglu",
        ["live", "gate_up", "source", "out"], 1, false;
    SWIGLU_DIRECT, "swiglu_direct",
        ["live", "gate_up", "source", "out"], 1, false;
    PROJECT_ADD_NORM, "project_add_norm",
        ["live", "weight", "source", "residual0", "residual1", "residual2", "residual3", "out"], 1, true;
    PROJECT_DIRECT, "project_direct",
        ["live", "weight", "source", "residual0", "residual1", "residual2", "residual3", "sums"], 1, false;
    NORM_DIRECT, "norm_direct",
        ["live", "sums", "out"], 1, true;
    PROJECT_SPLIT, "project_split",
        ["live", "weight", "source", "parts"], 1, false;
    ADD_NORM, "add_norm",
        ["live", "parts", "residual0", "residual1", "residual2", "residual3", "out"], 1, true;
    HALT, "halt",
        ["live", "weight", "bias", "state", "rule", "out", "records"], 2, false;
    GATHER, "gather",
        ["records", "live", "grids"], 2, false;
    DECODE, "decode",
        ["live", "weight", "state", "logits", "answer"], 2, false;
}

/// Values of a kernel's overrides.
pub(super) type Constants = Vec<(&'static str, f64)>;

/// Compiled kernels, each made once for a set of constants.
#[derive(Debug, Default)]
pub(super) struct Pipelines {
    made: Mutex<HashMap<Key, Arc<Pipeline>>>,
}

type Key = (&'static str, Vec<(&'static str, u64)>);

/// A compiled kernel.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) compiled: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    name: &'static str,
}

impl Pipelines {
    /// The kernel with these constants.
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
            .made
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .get(&key)
            .cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let what = format!("kernel {}", kernel.name);
        let made = context
            .make(&what, |device| compile(device, kernel, constants))
            .await?;
        let made = Arc::new(made);
        self.made
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .insert(key, made.clone());
        Ok(made)
    }
}

fn compile(device: &wgpu::Device, kernel: &'static Kernel, constants: &Constants) -> Pipeline {
    let label = Some(kernel.name);
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label,
        source: wgpu::ShaderSource::Wgsl(kernel.source.into()),
    });
    let first_written = kernel.bindings.len() - kernel.written;
    let entries: Vec<_> = (0..kernel.bindings.len())
        .map(|binding| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage {
                    read_only: binding < first_written,
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
            // Every kernel writes what it reads; zeroing would be done by one invocation on Metal.
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
    /// The buffers of one call, in the order of the kernel's bindings.
    pub(super) async fn bind(
        &self,
        context: &Context,
        buffers: &[&wgpu::Buffer],
    ) -> Result<wgpu::BindGroup> {
        let entries: Vec<_> = buffers
            .iter()
            .enumerate()
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding: binding as u32,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let descriptor = wgpu::BindGroupDescriptor {
            label: Some(self.name),
            layout: &self.layout,
            entries: &entries,
        };
        context
            .make(self.name, |device| device.create_bind_group(&descriptor))
            .await
    }
}

#[cfg(test)]
impl Kernel {
    /// How many of the bindings are read only.
    pub(super) fn read(&self) -> usize {
        self.bindings.len() - self.written
    }

    /// The file, parsed.
    pub(super) fn parsed(&self) -> naga::Module {
        naga::front::wgsl::parse_str(self.source).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name and whether it is written, of every binding of group 0, by number.
    fn bindings(module: &naga::Module) -> Vec<(u32, String, bool)> {
        let mut found = Vec::new();
        for (_, variable) in module.global_variables.iter() {
            if let Some(binding) = variable.binding {
                assert_eq!(binding.group, 0);
                let naga::AddressSpace::Storage { access } = variable.space else {
                    panic!("{:?} is no storage buffer", variable.name)
                };
                let name = variable.name.clone().unwrap();
                found.push((
                    binding.binding,
                    name,
                    access.contains(naga::StorageAccess::STORE),
                ));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn shaders_bind_what_this_side_binds() {
        for kernel in ALL {
            let module = kernel.parsed();
            let first_written = kernel.bindings.len() - kernel.written;
            let known: Vec<_> = (0..kernel.bindings.len())
                .map(|i| (i as u32, kernel.bindings[i].to_string(), i >= first_written))
                .collect();
            assert_eq!(bindings(&module), known, "{}", kernel.name);
            assert!(
                known.len() <= 8,
                "{} binds more than WebGPU promises",
                kernel.name
            );
            assert_eq!(module.entry_points.len(), 1);
            assert_eq!(module.entry_points[0].name, kernel.name);
        }
    }

    /// WGSL cannot include: what several files say in a function of one name, they say in the same words, but for the names of
    /// buffers and sizes.
    #[test]
    fn the_unpacking_of_weights_is_the_same_text_everywhere() {
        for (name, least) in [
            ("quad", 10),
            ("place", 10),
            ("scales", 10),
            ("quads", 12),
            ("added", 3),
            ("first_channel", 2),
        ] {
            let head = format!("fn {name}(");
            let texts = ALL.iter().filter_map(|kernel| {
                let from = kernel.source.find(&head)?;
                let text = kernel.source.get(from..)?;
                Some((kernel.name, text.split_once("\n}\n")?.0))
            });
            let texts: Vec<_> = texts.collect();
            assert!(texts.len() >= least, "{name}: {}", texts.len());
            for (kernel, text) in &texts {
                assert_eq!(
                    *text, texts[0].1,
                    "{name} of {kernel} and of {}",
                    texts[0].0
                );
            }
        }
    }

    /// Every file of `shaders/` is one of the kernels, and every override has a default, so that a file translates on its own.
    #[test]
    fn every_file_is_a_kernel_and_stands_alone() {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
        let mut files: Vec<String> = std::fs::read_dir(directory)
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
