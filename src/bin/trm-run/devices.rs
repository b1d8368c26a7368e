//! `devices`: the GPUs of this machine.

use serde_json::{Value, json};
use trm::{DeviceInfo, DeviceKind};

use crate::args::Shared;
use crate::output::{Done, Failure, print};

/// Runs the command.
pub(crate) fn run(shared: &Shared) -> Result<Done, Failure> {
    let devices = trm::devices();
    let considered = devices
        .iter()
        .find(|d| d.missing.is_none() && d.kind != DeviceKind::Software);
    if shared.json {
        print(json!({
            "type": "devices",
            "devices": devices.iter().map(record).collect::<Vec<_>>(),
            "auto": considered.map_or("cpu".to_string(), |d| format!("gpu:{} or cpu", d.number)),
        }))?;
        return Ok(Done::Well);
    }
    for device in &devices {
        show(device)?;
    }
    if devices.is_empty() {
        print("no GPU: no driver offers one, or this build has none (feature `gpu`)")?;
    }
    match considered {
        Some(d) => print(format_args!(
            "auto takes gpu:{} for models whose steps are faster there than on the CPU",
            d.number
        ))?,
        None => print("auto takes the CPU")?,
    }
    Ok(Done::Well)
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
        "usable": d.missing.is_none(),
        "missing": d.missing,
    })
}

fn show(d: &DeviceInfo) -> Result<(), Failure> {
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    print(format_args!("{d}"))?;
    print(format_args!("  driver      {}", d.driver))?;
    let subgroups = match d.subgroups {
        Some([least, most]) if least == most => least.to_string(),
        Some([least, most]) => format!("{least} to {most}"),
        None => "no".into(),
    };
    print(format_args!(
        "  features    f16 {}, subgroups {subgroups}, cooperative matrices {}",
        yes(d.f16),
        yes(d.cooperative_matrix)
    ))?;
    print(format_args!(
        "  limits      {} MiB a buffer, {} KiB of workgroup memory, {} invocations, {} buffers a kernel",
        d.limits.buffer >> 20,
        d.limits.workgroup_memory >> 10,
        d.limits.workgroup_size,
        d.limits.storage_buffers
    ))?;
    if let Some(missing) = &d.missing {
        print(format_args!("  cannot run the kernels: {missing}"))?;
    }
    Ok(())
}
