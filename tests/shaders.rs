//! Every file of `shaders/` on its own, as every platform gets it: within WebGPU's default limits, and translated to SPIR-V, Metal,
//! HLSL and GLSL with the options that wgpu uses. Compilers that the machine has (`spirv-val`, `glslangValidator`, `tint`) judge
//! the results; there is none for Metal outside macOS.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use naga::back::{glsl, hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage};

/// SPIR-V versions that wgpu writes for Vulkan 1.0 to 1.3.
const VULKANS: [((u8, u8), &str); 4] = [
    ((1, 0), "vulkan1.0"),
    ((1, 3), "vulkan1.1"),
    ((1, 5), "vulkan1.2"),
    ((1, 6), "vulkan1.3"),
];
/// macOS 10.14 and iOS 12, up to the newest.
const METALS: [(u8, u8); 3] = [(2, 1), (2, 4), (3, 2)];
/// FXC, and the least that DXC has.
const HLSLS: [hlsl::ShaderModel; 2] = [hlsl::ShaderModel::V5_1, hlsl::ShaderModel::V6_2];

/// A kernel's name and text, for every file.
fn kernels() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let files = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|e| e == "wgsl"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_string();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    found.sort();
    assert!(found.len() >= 9, "{found:?}");
    found
}

/// A kernel, validated with no capability beyond WebGPU's, its overrides at their defaults.
struct Kernel {
    module: Module,
    info: ModuleInfo,
    name: String,
}

fn parse(name: &str, source: &str) -> Result<Kernel, String> {
    let parsed = naga::front::wgsl::parse_str(source).map_err(|e| e.emit_to_string(source))?;
    // WebGPU has `unpack2x16float` everywhere; naga counts it as a capability.
    let mut validator = Validator::new(
        ValidationFlags::all(),
        Capabilities::SHADER_FLOAT16_IN_FLOAT32,
    );
    let validated = validator
        .validate(&parsed)
        .map_err(|e| e.emit_to_string(source))?;
    let defaults = naga::back::PipelineConstants::default();
    let (module, info) =
        naga::back::pipeline_constants::process_overrides(&parsed, &validated, None, &defaults)
            .map_err(|e| format!("an override without a default: {e}"))?;
    let kernel = Kernel {
        module: module.into_owned(),
        info: info.into_owned(),
        name: name.to_string(),
    };
    within_limits(&kernel)?;
    Ok(kernel)
}

/// WebGPU's default limits, as far as a compute kernel with one group of bindings can break them.
fn within_limits(kernel: &Kernel) -> Result<(), String> {
    let module = &kernel.module;
    let [entry] = &module.entry_points[..] else {
        return Err(format!("{} entry points", module.entry_points.len()));
    };
    if entry.name != kernel.name || entry.stage != ShaderStage::Compute {
        return Err(format!("its entry point is {}", entry.name));
    }
    let at_most = |what: &str, got: u32, limit: u32| match got > limit {
        true => Err(format!("{got} {what}, at most {limit} are allowed")),
        false => Ok(()),
    };
    at_most("invocations", entry.workgroup_size.iter().product(), 256)?;
    at_most("invocations along z", entry.workgroup_size[2], 64)?;
    let (mut storage, mut uniforms, mut memory) = (0, 0, 0);
    for (_, variable) in module.global_variables.iter() {
        let size = module.types[variable.ty].inner.size(module.to_ctx());
        match variable.space {
            AddressSpace::Storage { .. } => storage += 1,
            AddressSpace::Uniform => {
                uniforms += 1;
                at_most("bytes of a uniform", size, 64 << 10)?;
            }
            AddressSpace::WorkGroup => memory += size.next_multiple_of(16),
            AddressSpace::Private => {}
            other => return Err(format!("a variable in {other:?}")),
        }
        if let Some(binding) = variable.binding {
            at_most("as a group", binding.group, 0)?;
        }
    }
    at_most("storage buffers", storage, 8)?;
    at_most("uniform buffers", uniforms, 12)?;
    at_most("bytes of workgroup memory", memory, 16 << 10)
}

/// What a platform's driver gets, as the files that its compiler reads.
struct Translated {
    file: String,
    bytes: Vec<u8>,
    /// A compiler for it and its options, if there is one outside the platform.
    compiler: Option<(&'static str, Vec<String>)>,
}

fn translate(kernel: &Kernel) -> Result<Vec<Translated>, String> {
    let mut all = Vec::new();
    for (version, vulkan) in VULKANS {
        all.push(to_spirv(kernel, version, vulkan)?);
    }
    for version in METALS {
        all.push(to_metal(kernel, version)?);
    }
    for model in HLSLS {
        all.push(to_hlsl(kernel, model)?);
    }
    all.push(to_glsl(kernel)?);
    Ok(all)
}

fn checked(index: BoundsCheckPolicy) -> BoundsCheckPolicies {
    BoundsCheckPolicies {
        index,
        buffer: index,
        image_load: index,
        binding_array: BoundsCheckPolicy::Unchecked,
    }
}

fn to_spirv(kernel: &Kernel, version: (u8, u8), vulkan: &str) -> Result<Translated, String> {
    let options = spv::Options {
        lang_version: version,
        capabilities: Some(
            [spv::Capability::Shader, spv::Capability::Matrix]
                .into_iter()
                .collect(),
        ),
        bounds_check_policies: checked(BoundsCheckPolicy::Restrict),
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        ..spv::Options::default()
    };
    let pipeline = spv::PipelineOptions {
        shader_stage: ShaderStage::Compute,
        entry_point: kernel.name.clone(),
    };
    let words = spv::write_vec(&kernel.module, &kernel.info, &options, Some(&pipeline))
        .map_err(|e| format!("SPIR-V {version:?}: {e}"))?;
    Ok(Translated {
        file: format!("{}.{vulkan}.spv", kernel.name),
        bytes: words.iter().flat_map(|w| w.to_le_bytes()).collect(),
        compiler: Some(("spirv-val", vec!["--target-env".into(), vulkan.into()])),
    })
}

/// The bindings of a kernel by their numbers.
fn bindings(kernel: &Kernel) -> impl Iterator<Item = (naga::ResourceBinding, bool)> + '_ {
    kernel.module.global_variables.iter().filter_map(|(_, v)| {
        let writable = matches!(v.space, AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE));
        Some((v.binding?, writable))
    })
}

fn to_metal(kernel: &Kernel, version: (u8, u8)) -> Result<Translated, String> {
    let resources = bindings(kernel).map(|(binding, mutable)| {
        let target = msl::BindTarget {
            buffer: Some(binding.binding as u8),
            mutable,
            ..msl::BindTarget::default()
        };
        (binding, target)
    });
    let resources = msl::EntryPointResources {
        resources: resources.collect(),
        sizes_buffer: Some(30),
        ..msl::EntryPointResources::default()
    };
    let options = msl::Options {
        lang_version: version,
        per_entry_point_map: [(kernel.name.clone(), resources)].into(),
        fake_missing_bindings: false,
        bounds_check_policies: checked(BoundsCheckPolicy::Restrict),
        zero_initialize_workgroup_memory: false,
        ..msl::Options::default()
    };
    let pipeline = msl::PipelineOptions {
        entry_point: Some((ShaderStage::Compute, kernel.name.clone())),
        ..msl::PipelineOptions::default()
    };
    let (text, info) = msl::write_string(&kernel.module, &kernel.info, &options, &pipeline)
        .map_err(|e| format!("Metal {version:?}: {e}"))?;
    let entry = info.entry_point_names[0]
        .as_ref()
        .map_err(|e| e.to_string())?;
    holds(&text, &format!("kernel void {entry}("))?;
    Ok(Translated {
        file: format!("{}.{}.{}.metal", kernel.name, version.0, version.1),
        bytes: text.into_bytes(),
        compiler: None,
    })
}

fn to_hlsl(kernel: &Kernel, model: hlsl::ShaderModel) -> Result<Translated, String> {
    let registers = bindings(kernel).map(|(binding, _)| {
        let target = hlsl::BindTarget {
            register: binding.binding,
            restrict_indexing: true,
            ..hlsl::BindTarget::default()
        };
        (binding, target)
    });
    let options = hlsl::Options {
        shader_model: model,
        binding_map: registers.collect(),
        fake_missing_bindings: false,
        zero_initialize_workgroup_memory: false,
        ..hlsl::Options::default()
    };
    let pipeline = hlsl::PipelineOptions {
        entry_point: Some((ShaderStage::Compute, kernel.name.clone())),
    };
    let mut text = String::new();
    let info = hlsl::Writer::new(&mut text, &options, &pipeline)
        .write(&kernel.module, &kernel.info, None)
        .map_err(|e| format!("HLSL {model:?}: {e}"))?;
    let entry = info.entry_point_names[0]
        .as_ref()
        .map_err(|e| e.to_string())?;
    holds(&text, &format!("void {entry}("))?;
    let compile = ["-D", "-V", "-S", "comp", "--auto-map-bindings", "-e", entry];
    Ok(Translated {
        file: format!("{}.{}.hlsl", kernel.name, model.to_str()),
        bytes: text.into_bytes(),
        compiler: Some(("glslangValidator", compile.map(String::from).to_vec())),
    })
}

fn to_glsl(kernel: &Kernel) -> Result<Translated, String> {
    let options = glsl::Options {
        version: glsl::Version::new_gles(310),
        binding_map: bindings(kernel)
            .map(|(b, _)| (b, b.binding as u8))
            .collect(),
        zero_initialize_workgroup_memory: false,
        ..glsl::Options::default()
    };
    let pipeline = glsl::PipelineOptions {
        shader_stage: ShaderStage::Compute,
        entry_point: kernel.name.clone(),
        multiview: None,
    };
    let mut text = String::new();
    let unchecked = checked(BoundsCheckPolicy::Unchecked);
    glsl::Writer::new(
        &mut text,
        &kernel.module,
        &kernel.info,
        &options,
        &pipeline,
        unchecked,
    )
    .and_then(|mut writer| writer.write())
    .map_err(|e| format!("GLSL ES 3.10: {e}"))?;
    holds(&text, "void main()")?;
    Ok(Translated {
        file: format!("{}.comp", kernel.name),
        bytes: text.into_bytes(),
        compiler: Some(("glslangValidator", vec!["-S".into(), "comp".into()])),
    })
}

fn holds(text: &str, part: &str) -> Result<(), String> {
    match text.contains(part) {
        true => Ok(()),
        false => Err(format!("no {part:?} in {text}")),
    }
}

/// Whether a compiler is on the path. Where `TRM_REQUIRE_` and its name is 1, none is a failure; else the test says so aloud.
fn have(compiler: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(compiler).is_file()) {
        return true;
    }
    let variable = format!("TRM_REQUIRE_{}", compiler.replace('-', "_").to_uppercase());
    assert!(
        std::env::var(&variable).as_deref() != Ok("1"),
        "no {compiler}, and {variable} is 1"
    );
    // The test harness hides what a test that passes prints by a macro.
    let message = format!("skipped: no {compiler}\n");
    std::io::stderr().write_all(message.as_bytes()).unwrap();
    false
}

/// Runs a compiler in a folder of its own.
fn compile(compiler: &str, arguments: &[String], file: &str, bytes: &[u8]) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(file), bytes).unwrap();
    let mut command = Command::new(compiler);
    let output = command
        .args(arguments)
        .arg(PathBuf::from(file))
        .current_dir(&folder)
        .output()
        .unwrap();
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{compiler} on {file}: {}", text.concat())),
    }
}

fn judge(compiler: &str, translated: &Translated) -> Result<(), String> {
    match &translated.compiler {
        Some((name, arguments)) if *name == compiler => {
            compile(name, arguments, &translated.file, &translated.bytes)
        }
        _ => Ok(()),
    }
}

#[test]
fn every_kernel_translates_for_every_platform() {
    for (name, source) in kernels() {
        let translated = parse(&name, &source).and_then(|kernel| translate(&kernel));
        let translated = translated.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(
            translated.len(),
            VULKANS.len() + METALS.len() + HLSLS.len() + 1
        );
    }
}

/// Every translation for which `compiler` is the compiler is accepted, and a damaged one is not.
fn compiles_what_naga_writes(compiler: &str, damage: impl Fn(&mut Vec<u8>)) {
    if !have(compiler) {
        return;
    }
    let mut judged = 0;
    for (name, source) in kernels() {
        for mut translated in translate(&parse(&name, &source).unwrap()).unwrap() {
            if translated
                .compiler
                .as_ref()
                .is_none_or(|(c, _)| *c != compiler)
            {
                continue;
            }
            judge(compiler, &translated).unwrap_or_else(|e| panic!("{name}: {e}"));
            damage(&mut translated.bytes);
            assert!(
                judge(compiler, &translated).is_err(),
                "{compiler} takes {} damaged",
                translated.file
            );
            judged += 1;
        }
    }
    assert!(judged >= 9, "{judged}");
}

#[test]
fn spirv_val_accepts_every_kernel() {
    // The last word is the instruction that ends the last function.
    compiles_what_naga_writes("spirv-val", |bytes| bytes.truncate(bytes.len() - 4));
}

#[test]
fn glslang_accepts_every_kernel() {
    // The last statement of the last function, without its end.
    compiles_what_naga_writes("glslangValidator", |bytes| {
        let end = bytes.iter().rposition(|&b| b == b';').unwrap();
        bytes[end] = b'#';
    });
}

fn tint(name: &str, source: &str) -> Result<(), String> {
    let format = ["--format".to_string(), "wgsl".to_string()];
    compile("tint", &format, &format!("{name}.wgsl"), source.as_bytes())
}

#[test]
fn tint_accepts_every_kernel() {
    if !have("tint") {
        return;
    }
    for (name, source) in kernels() {
        tint(&name, &source).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    // What naga does not see: half of a workgroup waits for the other half.
    let planted = planted("", "if id < 32u { workgroupBarrier(); }");
    let error = tint("planted", &planted).unwrap_err();
    assert!(error.contains("uniform control flow"), "{error}");
}

/// A kernel with something wrong in it.
fn planted(declarations: &str, statement: &str) -> String {
    format!(
        "{declarations}
        @group(0) @binding(0) var<storage, read_write> out: array<f32>;
        @compute @workgroup_size(64)
        fn planted(@builtin(local_invocation_index) id: u32) {{ {statement} out[id] = 1.0; }}"
    )
}

#[test]
fn planted_bugs_are_refused() {
    let sources: String = (1..=8)
        .map(|i| format!("@group(0) @binding({i}) var<storage, read> source{i}: array<f32>;"))
        .collect();
    let cases = [
        (planted(&sources, ""), "9 storage buffers"),
        (
            planted(
                "var<workgroup> tile: array<vec4<f32>, 1025>;",
                "tile[id].x = 1.0;",
            ),
            "bytes of workgroup memory",
        ),
        (
            planted("", "").replace("workgroup_size(64)", "workgroup_size(16, 17)"),
            "272 invocations",
        ),
        (planted("enable f16;", "out[1] = f32(f16(out[0]));"), "f16"),
        (planted("", "out[1] = subgroupAdd(out[0]);"), "subgroup"),
        (planted("override L: u32;", "out[L] = 0.0;"), "override"),
        (
            planted("", "").replace("fn planted", "fn other"),
            "entry point is other",
        ),
        (
            planted("", "").replace("group(0)", "group(1)"),
            "1 as a group",
        ),
        (planted("", "out[id] = 1u;"), "conversion"),
    ];
    parse("planted", &planted("", ""))
        .map(|k| translate(&k))
        .unwrap()
        .unwrap();
    for (source, why) in cases {
        let Err(error) = parse("planted", &source) else {
            panic!("accepted: {source}")
        };
        assert!(
            error.to_lowercase().contains(why),
            "{why:?} is not in: {error}\n{source}"
        );
    }
}
