//! Prints the measurements and writes them as JSON.

use std::path::Path;

use serde_json::{Value, json};
use trm_runtime::low_level::plan::Plan;
use trm_runtime::{Config, DeviceInfo, Error, Result};

use crate::ceiling::{CeilingResult, best};
use crate::models::{DistinctCall, Scale};
use crate::steps::Step;
use crate::timing::Sample;

/// All measurements of a run.
#[derive(Debug)]
pub(crate) struct Report {
    info: DeviceInfo,
    scale: Scale,
    pub(crate) ceiling: Vec<CeilingResult>,
    models: Vec<ModelRow>,
    kernels: Vec<KernelRow>,
    steps: Vec<StepRow>,
    failures: Vec<String>,
}

/// The sizes of a model and the calls of its step, as JSON.
#[derive(Debug)]
pub(crate) struct ModelRow(Value);

impl ModelRow {
    pub(crate) fn new(name: &str, config: &Config, plan: &Plan, distinct: &[DistinctCall]) -> Self {
        let d = &plan.dims;
        let calls = distinct.iter().map(|distinct| {
            let gflop = distinct.call.flops(d) as f64 / 1e9;
            json!({
                "call": distinct.name,
                "kernel": distinct.call.kernel(),
                "count": distinct.count,
                "gflop": gflop,
            })
        });
        Self(json!({
            "model": name,
            "cells": d.tokens,
            "prefix": d.prefix,
            "positions": d.positions,
            "hidden": d.hidden,
            "heads": d.heads,
            "inner": d.inner,
            "token_inner": d.token_inner,
            "vocab": d.vocab,
            "layers": config.l_layers,
            "outer_cycles": config.h_cycles,
            "inner_cycles": config.l_cycles,
            "rope_theta": d.rope_theta,
            "eps": d.eps,
            "gflop": plan.gflop_per_step(),
            "calls": calls.collect::<Vec<_>>(),
        }))
    }
}

/// The time of a call, for a batch.
#[derive(Debug)]
pub(crate) struct KernelRow {
    pub(crate) model: String,
    pub(crate) batch: usize,
    pub(crate) call: String,
    pub(crate) kernels: &'static str,
    pub(crate) dtype: &'static str,
    /// Work of the whole batch.
    pub(crate) gflop: f64,
    pub(crate) sample: Option<Sample>,
}

/// A whole step of a batch.
#[derive(Debug)]
pub(crate) struct StepRow {
    pub(crate) model: String,
    pub(crate) batch: usize,
    pub(crate) kernels: &'static str,
    pub(crate) dtype: &'static str,
    /// Work of the whole batch.
    pub(crate) gflop: f64,
    pub(crate) step: Step,
    /// The sum of its calls' times in ms, if all were measured.
    pub(crate) kernels_ms: Option<f64>,
}

impl Report {
    pub(crate) fn new(info: DeviceInfo, scale: Scale) -> Self {
        Self {
            info,
            scale,
            ceiling: Vec::new(),
            models: Vec::new(),
            kernels: Vec::new(),
            steps: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub(crate) fn print_adapter(&self) {
        println!("{}", self.info);
        println!(
            "driver {}; trm {}",
            self.info.driver,
            env!("CARGO_PKG_VERSION")
        );
        if self.scale == Scale::Quick {
            println!("quick: tiny sizes, not comparable with the published ones");
        }
    }

    /// Returns the GFLOP/s of the ceiling, NaN if all candidates failed.
    fn ceiling_gflops(&self) -> f64 {
        best(&self.ceiling).map_or(f64::NAN, |(_, gflops)| gflops)
    }

    pub(crate) fn print_ceiling(&self) {
        println!("\nlarge products in f32; the fastest is the ceiling of this run");
        for (name, result) in &self.ceiling {
            match result {
                Ok(gflops) => println!("  {gflops:>10.1} GFLOP/s  {name}"),
                Err(reason) => println!("  {:>10} GFLOP/s  {name}: {reason}", "-"),
            }
        }
    }

    /// Reports a measurement that failed.
    pub(crate) fn fail(&mut self, message: String) {
        println!("failed: {message}");
        self.failures.push(message);
    }

    pub(crate) fn add_model(&mut self, row: ModelRow) {
        let of = |key: &str| row.0.get(key).cloned().unwrap_or_default();
        println!(
            "\n{}: L {}, D {}, I {}, T {}, {} heads, {:.4} GFLOP a puzzle and step",
            of("model").as_str().unwrap_or_default(),
            of("positions"),
            of("hidden"),
            of("inner"),
            of("token_inner"),
            of("heads"),
            of("gflop").as_f64().unwrap_or_default(),
        );
        println!(
            "{:<26} {:>5} {:<7} {:<6} {:>11} {:>11} {:>10}",
            "call", "batch", "kernels", "format", "ms", "GFLOP/s", "of ceiling"
        );
        self.models.push(row);
    }

    pub(crate) fn add_kernel(&mut self, row: KernelRow) {
        if let Some(sample) = row.sample {
            let gflops = row.gflop / sample.best * 1e3;
            println!(
                "{:<26} {:>5} {:<7} {:<6} {:>11.4} {:>11.2} {:>8.1} %",
                row.call,
                row.batch,
                row.kernels,
                row.dtype,
                sample.best,
                gflops,
                100.0 * gflops / self.ceiling_gflops()
            );
        }
        self.kernels.push(row);
    }

    pub(crate) fn add_step(&mut self, row: StepRow) {
        let gflops = row.gflop / row.step.step.best * 1e3;
        println!(
            "{:<26} {:>5} {:<7} {:<6} {:>11.4} {:>11.2} {:>8.1} %",
            "whole step",
            row.batch,
            row.kernels,
            row.dtype,
            row.step.step.best,
            gflops,
            100.0 * gflops / self.ceiling_gflops()
        );
        self.steps.push(row);
    }

    /// Prints whole steps beside the sum of their kernels, and the host's time for starting a step.
    pub(crate) fn print_steps(&self) {
        println!(
            "\nwhole steps, ms; rest: step minus kernels; empty: no live slots; host: submitting"
        );
        println!(
            "{:<8} {:>5} {:<7} {:<6} {:>11} {:>11} {:>11} {:>10} {:>9} {:>9} {:>9} {:>10}",
            "model",
            "batch",
            "kernels",
            "format",
            "best",
            "median",
            "sum",
            "rest",
            "empty",
            "host",
            "median",
            "of ceiling"
        );
        for row in &self.steps {
            let Step { step, host, empty } = row.step;
            let [sum, rest] = match row.kernels_ms {
                Some(sum) => [sum, step.best - sum].map(|ms| format!("{ms:.3}")),
                None => ["-", "-"].map(String::from),
            };
            println!(
                "{:<8} {:>5} {:<7} {:<6} {:>11.3} {:>11.3} {sum:>11} {rest:>10} \
                 {:>9.4} {:>9.4} {:>9.4} {:>8.1} %",
                row.model,
                row.batch,
                row.kernels,
                row.dtype,
                step.best,
                step.median,
                empty.best,
                host.best,
                host.median,
                100.0 * row.gflop / step.best * 1e3 / self.ceiling_gflops()
            );
        }
    }

    /// Writes all measurements as JSON.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = format!("{:#}\n", self.json());
        let written = std::fs::write(path, text);
        written.map_err(|e| {
            Error::new(
                trm_runtime::ErrorKind::Io,
                format!("cannot be written: {e}"),
            )
            .context(path.display().to_string())
        })
    }

    fn json(&self) -> Value {
        let ceiling = self.ceiling.iter().map(|(name, result)| {
            json!({ "name": name, "gflops": result.as_ref().ok(), "error": result.as_ref().err() })
        });
        let kernels = self.kernels.iter().map(|row| {
            json!({
                "model": row.model,
                "batch": row.batch,
                "call": row.call,
                "kernels": row.kernels,
                "format": row.dtype,
                "gflop": row.gflop,
                "ms": row.sample.map(|s| s.best),
                "ms_median": row.sample.map(|s| s.median),
            })
        });
        let steps = self.steps.iter().map(|row| {
            json!({
                "model": row.model,
                "batch": row.batch,
                "kernels": row.kernels,
                "format": row.dtype,
                "gflop": row.gflop,
                "ms": row.step.step.best,
                "ms_median": row.step.step.median,
                "kernels_ms": row.kernels_ms,
                "empty_ms": row.step.empty.best,
                "host_ms": row.step.host.best,
                "host_ms_median": row.step.host.median,
            })
        });
        json!({
            "trm": env!("CARGO_PKG_VERSION"),
            "adapter": self.info.name,
            "number": self.info.number,
            "backend": self.info.backend,
            "driver": self.info.driver,
            "kind": self.info.kind.name(),
            "quick": self.scale == Scale::Quick,
            "ceiling_gflops": best(&self.ceiling).map(|b| b.1),
            "ceiling_is": best(&self.ceiling).map(|b| b.0),
            "ceilings": ceiling.collect::<Vec<_>>(),
            "models": self.models.iter().map(|m| &m.0).collect::<Vec<_>>(),
            "kernels": kernels.collect::<Vec<_>>(),
            "steps": steps.collect::<Vec<_>>(),
            "failures": self.failures,
        })
    }
}
