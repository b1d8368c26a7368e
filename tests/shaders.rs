//! Checks every kernel of `shaders/`, joined with its shared files, as every platform gets it.
//!
//! A kernel must keep WebGPU's default limits. It is translated to SPIR-V, Metal, HLSL and GLSL,
//! with the options that wgpu uses. The compilers that the machine has (`spirv-val`,
//! `glslangValidator`, `tint`) check the results. There is no compiler for Metal outside macOS. A
//! test reports the failures of all kernels, not only the first.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use naga::back::{glsl, hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage};

/// The SPIR-V versions that wgpu writes for Vulkan 1.0 to 1.3.
const SPIRV_VERSIONS: [((u8, u8), &str); 4] = [
    ((1, 0), "vulkan1.0"),
    ((1, 3), "vulkan1.1"),
    ((1, 5), "vulkan1.2"),
    ((1, 6), "vulkan1.3"),
];
/// The Metal versions of macOS 10.14 and iOS 12, up to the newest.
const METAL_VERSIONS: [(u8, u8); 3] = [(2, 1), (2, 4), (3, 2)];
/// The shader models of FXC, and the lowest of DXC.
const SHADER_MODELS: [hlsl::ShaderModel; 2] = [hlsl::ShaderModel::V5_1, hlsl::ShaderModel::V6_2];

/// The folder of the shaders.
fn shaders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders")
}

/// Returns the names of the WGSL files in a folder, without their ending.
fn names(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "wgsl"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_string())
        .collect();
    names.sort();
    names
}

/// Reads a file of `shaders/`, given by its path there without the ending.
fn read(path: &str) -> String {
    let path = shaders().join(format!("{path}.wgsl"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Returns the shared files that a shader names, in the order of `cat $(grep -o ..)` in
/// `shaders/README.md`.
fn shared_files(shader: &str) -> Vec<&str> {
    let rest = shader.split("shared/").skip(1);
    rest.map(|rest| rest.split_once(".wgsl").unwrap().0)
        .collect()
}

/// Joins the shared files that a shader names, and the shader. The library joins the same files.
fn joined_source(name: &str) -> String {
    let shader = read(name);
    let shared = shared_files(&shader).into_iter();
    let mut joined: String = shared.map(|name| read(&format!("shared/{name}"))).collect();
    joined += &shader;
    joined
}

/// Returns every kernel's name and joined source.
fn kernels() -> Vec<(String, String)> {
    let found: Vec<_> = names(&shaders())
        .into_iter()
        .map(|name| {
            let source = joined_source(&name);
            (name, source)
        })
        .collect();
    assert!(found.len() >= 9, "{found:?}");
    found
}

/// Runs a check on every kernel and panics with all failures.
fn for_each_kernel<E: Display>(mut check: impl FnMut(&str, &str) -> Result<(), E>) {
    let failures: Vec<String> = kernels()
        .iter()
        .filter_map(|(name, source)| Some(format!("{name}: {}", check(name, source).err()?)))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A kernel, validated without capabilities beyond WebGPU's, its overrides at their defaults.
struct Kernel {
    module: Module,
    info: ModuleInfo,
    name: String,
}

fn parse(name: &str, source: &str) -> Result<Kernel, String> {
    let parsed = naga::front::wgsl::parse_str(source).map_err(|e| e.emit_to_string(source))?;
    // Core WGSL has `unpack2x16float`; naga counts it as a capability.
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
    check_limits(&kernel)?;
    Ok(kernel)
}

/// Checks the default limits of WebGPU that a compute kernel with one bind group can exceed.
fn check_limits(kernel: &Kernel) -> Result<(), String> {
    let module = &kernel.module;
    let [entry] = &module.entry_points[..] else {
        return Err(format!("{} entry points", module.entry_points.len()));
    };
    if entry.name != kernel.name || entry.stage != ShaderStage::Compute {
        return Err(format!("the entry point is {}", entry.name));
    }
    let at_most = |what: &str, count: u32, limit: u32| match count > limit {
        true => Err(format!("{count} {what}, at most {limit} are allowed")),
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

/// A translated kernel, as the file that a platform's compiler reads.
struct Translation {
    file: String,
    bytes: Vec<u8>,
    /// A compiler for it and its options, if there is one on other platforms.
    compiler: Option<(&'static str, Vec<String>)>,
}

fn translate(kernel: &Kernel) -> Result<Vec<Translation>, String> {
    let mut all = Vec::new();
    for (version, vulkan) in SPIRV_VERSIONS {
        all.push(to_spirv(kernel, version, vulkan)?);
    }
    for version in METAL_VERSIONS {
        all.push(to_metal(kernel, version)?);
    }
    for model in SHADER_MODELS {
        all.push(to_hlsl(kernel, model)?);
    }
    all.push(to_glsl(kernel)?);
    Ok(all)
}

fn bounds_checks(index: BoundsCheckPolicy) -> BoundsCheckPolicies {
    BoundsCheckPolicies {
        index,
        buffer: index,
        image_load: index,
        binding_array: BoundsCheckPolicy::Unchecked,
    }
}

fn to_spirv(kernel: &Kernel, version: (u8, u8), vulkan: &str) -> Result<Translation, String> {
    let options = spv::Options {
        lang_version: version,
        capabilities: Some(
            [spv::Capability::Shader, spv::Capability::Matrix]
                .into_iter()
                .collect(),
        ),
        bounds_check_policies: bounds_checks(BoundsCheckPolicy::Restrict),
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        ..spv::Options::default()
    };
    let pipeline = spv::PipelineOptions {
        shader_stage: ShaderStage::Compute,
        entry_point: kernel.name.clone(),
    };
    let words = spv::write_vec(&kernel.module, &kernel.info, &options, Some(&pipeline))
        .map_err(|e| format!("SPIR-V {version:?}: {e}"))?;
    Ok(Translation {
        file: format!("{}.{vulkan}.spv", kernel.name),
        bytes: words.iter().flat_map(|w| w.to_le_bytes()).collect(),
        compiler: Some(("spirv-val", vec!["--target-env".into(), vulkan.into()])),
    })
}

/// Returns the bindings of a kernel, and whether each is written.
fn bindings(kernel: &Kernel) -> impl Iterator<Item = (naga::ResourceBinding, bool)> + '_ {
    kernel.module.global_variables.iter().filter_map(|(_, v)| {
        let is_written = |access: naga::StorageAccess| access.contains(naga::StorageAccess::STORE);
        let writable = matches!(v.space, AddressSpace::Storage { access } if is_written(access));
        Some((v.binding?, writable))
    })
}

fn to_metal(kernel: &Kernel, version: (u8, u8)) -> Result<Translation, String> {
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
        bounds_check_policies: bounds_checks(BoundsCheckPolicy::Restrict),
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
    check_contains(&text, &format!("kernel void {entry}("))?;
    Ok(Translation {
        file: format!("{}.{}.{}.metal", kernel.name, version.0, version.1),
        bytes: text.into_bytes(),
        compiler: None,
    })
}

fn to_hlsl(kernel: &Kernel, model: hlsl::ShaderModel) -> Result<Translation, String> {
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
    check_contains(&text, &format!("void {entry}("))?;
    let compile = ["-D", "-V", "-S", "comp", "--auto-map-bindings", "-e", entry];
    Ok(Translation {
        file: format!("{}.{}.hlsl", kernel.name, model.to_str()),
        bytes: text.into_bytes(),
        compiler: Some(("glslangValidator", compile.map(String::from).to_vec())),
    })
}

fn to_glsl(kernel: &Kernel) -> Result<Translation, String> {
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
    let unchecked = bounds_checks(BoundsCheckPolicy::Unchecked);
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
    check_contains(&text, "void main()")?;
    Ok(Translation {
        file: format!("{}.comp", kernel.name),
        bytes: text.into_bytes(),
        compiler: Some(("glslangValidator", vec!["-S".into(), "comp".into()])),
    })
}

fn check_contains(text: &str, part: &str) -> Result<(), String> {
    match text.contains(part) {
        true => Ok(()),
        false => Err(format!("no {part:?} in {text}")),
    }
}

/// Returns whether a compiler is on the path. A missing compiler fails the test if the variable
/// `TRM_REQUIRE_` and its name is 1; otherwise a line on standard error says that it was skipped.
fn has_compiler(compiler: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(compiler).is_file()) {
        return true;
    }
    let variable = format!("TRM_REQUIRE_{}", compiler.replace('-', "_").to_uppercase());
    assert!(
        std::env::var(&variable).as_deref() != Ok("1"),
        "no {compiler}, and {variable} is 1"
    );
    // The test harness hides what a passing test prints with `eprintln`.
    let message = format!("skipped: no {compiler}\n");
    std::io::stderr().write_all(message.as_bytes()).unwrap();
    false
}

/// Runs a compiler on a file in a folder of its own.
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

/// Runs the compiler of a translation on it.
fn compile_translation(translation: &Translation) -> Result<(), String> {
    match &translation.compiler {
        Some((name, arguments)) => compile(name, arguments, &translation.file, &translation.bytes),
        None => Ok(()),
    }
}

#[test]
fn every_kernel_translates_for_every_platform() {
    let expected = SPIRV_VERSIONS.len() + METAL_VERSIONS.len() + SHADER_MODELS.len() + 1;
    for_each_kernel(|name, source| {
        let translations = translate(&parse(name, source)?)?;
        match translations.len() == expected {
            true => Ok(()),
            false => Err(format!(
                "{} translations, not {expected}",
                translations.len()
            )),
        }
    });
}

/// Returns the functions of a WGSL file: each name, and the text from the parameters on.
fn functions(source: &str) -> impl Iterator<Item = (&str, &str)> {
    let starts = source
        .match_indices("\nfn ")
        .map(|(at, found)| at + found.len());
    starts.map(|start| {
        let (function, _) = source[start..].split_once("\n}\n").unwrap();
        function.split_at(function.find('(').unwrap())
    })
}

/// Returns the functions that stand in more than one file, whatever their names are there.
fn repeated_functions(files: &[(String, String)]) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (file, source) in files {
        for (name, text) in functions(source) {
            places
                .entry(text)
                .or_default()
                .push(format!("{name} in {file}"));
        }
    }
    let places = places.into_values().filter(|places| places.len() > 1);
    places.map(|places| places.join(", ")).collect()
}

/// A function that several shaders use stands in `shared/` once.
#[test]
fn no_function_stands_in_two_files() {
    let shared = names(&shaders().join("shared"));
    let files: Vec<(String, String)> = names(&shaders())
        .into_iter()
        .chain(shared.iter().map(|name| format!("shared/{name}")))
        .map(|file| {
            let source = read(&file);
            (file, source)
        })
        .collect();
    let repeated = repeated_functions(&files);
    assert!(repeated.is_empty(), "{}", repeated.join("\n"));
    // A shared function has no second meaning in a shader that does not use its file.
    let shared_functions: BTreeMap<&str, &str> = files
        .iter()
        .filter(|(file, _)| file.starts_with("shared/"))
        .flat_map(|(file, source)| functions(source).map(|(name, _)| (name, file.as_str())))
        .collect();
    assert!(shared_functions.len() >= 10, "{shared_functions:?}");
    let redefined: Vec<String> = files
        .iter()
        .flat_map(|(file, source)| functions(source).map(move |(name, _)| (name, file)))
        .filter_map(|(name, file)| {
            let shared = shared_functions
                .get(name)
                .filter(|shared| *shared != file)?;
            Some(format!("{name} in {file} and in {shared}"))
        })
        .collect();
    assert!(redefined.is_empty(), "{}", redefined.join("\n"));
    // Every shared file is used by two shaders at least.
    let shaders: Vec<String> = names(&self::shaders())
        .iter()
        .map(|name| read(name))
        .collect();
    let rarely_used: Vec<&String> = shared
        .iter()
        .filter(|file| {
            let uses = |shader: &&String| shared_files(shader).contains(&file.as_str());
            shaders.iter().filter(uses).count() < 2
        })
        .collect();
    assert!(rarely_used.is_empty(), "{rarely_used:?}");
}

#[test]
fn a_repeated_function_is_found_under_another_name() {
    let file = |name: &str, function: &str| {
        let source = format!("\nfn {function}(i: u32) -> u32 {{\n    return i;\n}}\n");
        (name.to_string(), source)
    };
    let files = [file("a", "first"), file("b", "second")];
    assert_eq!(repeated_functions(&files), ["first in a, second in b"]);
    assert!(repeated_functions(&files[..1]).is_empty());
}

/// Checks that `compiler` accepts every translation that it is the compiler of, and refuses a
/// damaged one.
fn check_with_compiler(compiler: &str, damage: impl Fn(&mut Vec<u8>)) {
    if !has_compiler(compiler) {
        return;
    }
    let mut compiled = 0;
    for_each_kernel(|name, source| {
        for mut translation in translate(&parse(name, source)?)? {
            if translation
                .compiler
                .as_ref()
                .is_none_or(|(c, _)| *c != compiler)
            {
                continue;
            }
            compile_translation(&translation)?;
            damage(&mut translation.bytes);
            if compile_translation(&translation).is_ok() {
                return Err(format!("{compiler} accepts {} damaged", translation.file));
            }
            compiled += 1;
        }
        Ok(())
    });
    assert!(compiled >= 9, "{compiled}");
}

#[test]
fn spirv_val_accepts_every_kernel() {
    // The last word is the instruction that ends the last function.
    check_with_compiler("spirv-val", |bytes| bytes.truncate(bytes.len() - 4));
}

#[test]
fn glslang_accepts_every_kernel() {
    // Damages the end of the last statement of the last function.
    check_with_compiler("glslangValidator", |bytes| {
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
    if !has_compiler("tint") {
        return;
    }
    for_each_kernel(tint);
    // naga does not see that half of a workgroup waits for the other half.
    let planted = planted("", "if id < 32u { workgroupBarrier(); }");
    let error = tint("planted", &planted).unwrap_err();
    assert!(error.contains("uniform control flow"), "{error}");
}

/// Returns a kernel with these declarations and this statement in it.
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
    let failures: Vec<String> = cases
        .into_iter()
        .filter_map(|(source, reason)| match parse("planted", &source) {
            Ok(_) => Some(format!("accepted: {source}")),
            Err(error) if error.to_lowercase().contains(reason) => None,
            Err(error) => Some(format!("{reason:?} is not in: {error}\n{source}")),
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
