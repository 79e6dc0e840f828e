//! What is printed: one row per contender and cell, then the ratios within rounds as one table.

use crate::cell::Cell;
use crate::contender::Contender;
use crate::measure::{Memory, Sample};

/// Samples of one contender, one per round.
type Rounds = (Contender, Vec<Sample>);

/// Everything that was measured.
#[derive(Default)]
pub struct Report {
    cells: Vec<(Cell, Vec<Rounds>)>,
    /// Idle, with 64 and with 1,000 connections.
    pub memory: Vec<(Contender, [Memory; 3])>,
}

impl Report {
    pub fn add(&mut self, cell: Cell, samples: Vec<Rounds>) {
        print_costs(cell, &samples);
        self.cells.push((cell, samples));
    }

    pub fn print(&self) {
        println!("\nmedian [least .. most] of the ratios within rounds");
        for (cell, samples) in &self.cells {
            println!("  {}", cell.name());
            for of in Contender::RECORDING {
                for to in Contender::ALL.into_iter().filter(|to| !to.records()) {
                    let target = cell.target(to).filter(|_| of == Contender::RecordOn);
                    print_ratio("CPU", (of, to), samples, target, |sample| sample.cpu_us);
                }
            }
            let pair = (Contender::RecordOn, Contender::Relay);
            print_ratio("wake-ups", pair, samples, Some(1.02), |sample| sample.wakes);
        }
        if !self.memory.is_empty() {
            println!(
                "\n{:<19} {:>13} {:>17} {:>19}",
                "resident (own), MiB", "idle", "64 connections", "1,000 connections"
            );
        }
        for (contender, figures) in &self.memory {
            let [idle, some, many] = figures.map(|memory| {
                let Memory {
                    resident,
                    anonymous,
                } = memory;
                format!("{resident:.1} ({anonymous:.1})")
            });
            println!("{:<19} {idle:>13} {some:>17} {many:>19}", contender.name());
        }
    }
}

fn print_costs(cell: Cell, samples: &[Rounds]) {
    println!("\n{}", cell.name());
    println!(
        "{:<16} {:>9} {:>12} {:>14} {:>9}",
        "", "requests", "CPU us/req", "wake-ups/req", "recorded"
    );
    for (contender, samples) in samples {
        println!(
            "{:<16} {:>9} {:>12.2} {:>14.4} {:>9}",
            contender.name(),
            median(samples.iter().map(|s| s.requests as f64)) as u64,
            median(samples.iter().map(|s| s.cpu_us)),
            median(samples.iter().map(|s| s.wakes)),
            kept(samples),
        );
    }
}

/// A line for what recording costs beside a contender, if that took part.
fn print_ratio(
    what: &str,
    (of, to): (Contender, Contender),
    samples: &[Rounds],
    target: Option<f64>,
    figure: impl Fn(&Sample) -> f64,
) {
    let found = |contender: Contender| samples.iter().find(|(it, _)| *it == contender);
    let (Some((_, on)), Some((_, other))) = (found(of), found(to)) else {
        return;
    };
    if to == Contender::Direct {
        return;
    }
    let mut values: Vec<f64> = on
        .iter()
        .zip(other)
        .map(|(on, other)| figure(on) / figure(other))
        .collect();
    values.sort_by(f64::total_cmp);
    let middle = median(values.iter().copied());
    // What was not recorded was cheap.
    let only = match least_kept(on).map(|share| share * 100.0) {
        Some(share) if share < 99.0 => format!(", with {share:.1} % recorded"),
        _ => String::new(),
    };
    let verdict = match target {
        Some(target) if middle <= target => format!("target {target:.2}: met{only}"),
        Some(target) => format!("target {target:.2}: MISSED{only}"),
        None => String::new(),
    };
    let (low, high) = (values.first().unwrap(), values.last().unwrap());
    let pair = format!("{} / {}", of.name(), to.name());
    println!("    {what:<9} {pair:<28} {middle:>5.2} [{low:.2} .. {high:.2}]  {verdict}");
}

/// The least share of a round, as a percentage.
fn kept(samples: &[Sample]) -> String {
    least_kept(samples).map_or_else(String::new, |share| format!("{:.1} %", share * 100.0))
}

fn least_kept(samples: &[Sample]) -> Option<f64> {
    let shares = samples.iter().filter_map(|sample| sample.kept);
    shares.min_by(f64::total_cmp)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
