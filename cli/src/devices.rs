//! `devices`: lists the CPU and the GPUs of this machine.

use serde_json::{Map, Value, json};
use trm_runtime::{CpuInfo, DeviceInfo, DeviceKind};

use crate::args::Shared;
use crate::output::{CommandError, CommandStatus, print, print_text};

/// Runs the command.
pub(crate) fn run(shared: &Shared) -> Result<CommandStatus, CommandError> {
    let (cpu, devices) = (trm_runtime::cpu()?, trm_runtime::devices());
    let candidate = devices
        .iter()
        .find(|d| d.unsupported_reason.is_none() && d.kind != DeviceKind::Software);
    if shared.json {
        print(json!({
            "type": "devices",
            "cpu": cpu_record(&cpu),
            "devices": devices.iter().map(record).collect::<Vec<_>>(),
            "auto": candidate.map_or("cpu".to_string(), |d| format!("gpu:{} or cpu", d.number)),
        }))?;
        return Ok(CommandStatus::Success);
    }
    show_cpu(&cpu)?;
    for device in &devices {
        show(device)?;
    }
    if devices.is_empty() {
        print("no GPU: no driver offers one, or this build has no GPU backend (feature `gpu`)")?;
    }
    match candidate {
        Some(d) => print_text(format_args!(
            "auto takes gpu:{} for models that run faster there than on the CPU",
            d.number
        ))?,
        None => print("auto takes the CPU")?,
    }
    Ok(CommandStatus::Success)
}

fn cpu_record(cpu: &CpuInfo) -> Value {
    let features = cpu
        .features
        .iter()
        .map(|(name, has)| (name.to_string(), json!(has)));
    json!({
        "architecture": cpu.architecture,
        "instructions": cpu.instructions.name(),
        "best": cpu.best.name(),
        "forced": cpu.forced,
        "features": features.collect::<Map<_, _>>(),
        "int8": cpu.int8,
        "bf16": cpu.bf16,
        "physical_cores": cpu.physical_cores,
        "logical_cores": cpu.logical_cores,
        "threads": cpu.threads,
    })
}

fn record(d: &DeviceInfo) -> Value {
    json!({
        "device": format!("gpu:{}", d.number),
        "name": d.name,
        "backend": d.backend,
        "driver": d.driver,
        "kind": d.kind.name(),
        "f16": d.f16,
        "subgroups": d.subgroups,
        "cooperative_matrix": d.cooperative_matrix,
        "limits": {
            "buffer": d.limits.buffer,
            "workgroup_memory": d.limits.workgroup_memory,
            "workgroup_size": d.limits.workgroup_size,
            "storage_buffers": d.limits.storage_buffers,
        },
        "usable": d.unsupported_reason.is_none(),
        "missing": d.unsupported_reason,
    })
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn show_cpu(cpu: &CpuInfo) -> Result<(), CommandError> {
    print_text(format_args!("{cpu}"))?;
    if !cpu.features.is_empty() {
        let features = cpu
            .features
            .iter()
            .map(|(name, has)| format!("{name} {}", yes_no(*has)));
        let features = features.collect::<Vec<_>>().join(", ");
        print_text(format_args!("  features    {features}"))?;
    }
    let int8 = cpu.int8.unwrap_or("in 16 bits");
    print_text(format_args!("  int8        {int8}"))?;
    print_text(format_args!(
        "  bf16        {}",
        cpu.bf16.unwrap_or("in f32")
    ))?;
    print_text(format_args!(
        "  cores       {} physical, {} logical",
        cpu.physical_cores, cpu.logical_cores
    ))?;
    Ok(())
}

fn show(d: &DeviceInfo) -> Result<(), CommandError> {
    print_text(format_args!("{d}"))?;
    if d.kind == DeviceKind::Software {
        print_text("  software    computes on the CPU, many times slower than `--device cpu`")?;
    }
    print_text(format_args!("  driver      {}", d.driver))?;
    let subgroups = match d.subgroups {
        Some([min, max]) if min == max => min.to_string(),
        Some([min, max]) => format!("{min} to {max}"),
        None => "no".into(),
    };
    print_text(format_args!(
        "  features    f16 {}, subgroups {subgroups}, cooperative matrices {}",
        yes_no(d.f16),
        yes_no(d.cooperative_matrix)
    ))?;
    print_text(format_args!(
        "  limits      {} MiB per buffer, {} KiB of workgroup memory, \
         {} invocations per workgroup, {} buffers per kernel",
        d.limits.buffer >> 20,
        d.limits.workgroup_memory >> 10,
        d.limits.workgroup_size,
        d.limits.storage_buffers
    ))?;
    if let Some(missing) = &d.unsupported_reason {
        print_text(format_args!("  cannot run the kernels: {missing}"))?;
    }
    Ok(())
}
