//! What is printed: ratios within rounds, their median and extremes.

use crate::contender::Contender;
use crate::measure::{Cell, Sample};

/// One ratio that has a target (design, budgets).
struct Ratio {
    of: Contender,
    to: Contender,
    target: Option<f64>,
}

pub fn cpu(cell: Cell, samples: &[Vec<Sample>]) {
    println!("\n{}", cell.name);
    println!(
        "{:<16} {:>9} {:>12} {:>14} {:>9}",
        "", "requests", "CPU us/req", "wake-ups/req", "recorded"
    );
    for (contender, samples) in Contender::ALL.into_iter().zip(samples) {
        println!(
            "{:<16} {:>9} {:>12.2} {:>14.4} {:>9}",
            contender.name(),
            median(samples.iter().map(|s| s.requests as f64)) as u64,
            median(samples.iter().map(|s| s.cpu_us)),
            median(samples.iter().map(|s| s.wakes)),
            kept(samples),
        );
    }
    let small = cell.path == "/1k";
    let ratios = [
        Ratio {
            of: Contender::RecordOn,
            to: Contender::RecordOff,
            target: Some(if small { 1.10 } else { 1.20 }),
        },
        Ratio {
            of: Contender::RecordOn,
            to: Contender::Relay,
            target: Some(1.25),
        },
        Ratio {
            of: Contender::RecordOn,
            to: Contender::Haproxy,
            target: None,
        },
    ];
    for ratio in ratios {
        print(&ratio, "CPU", samples, |sample| sample.cpu_us);
    }
    let wakes = Ratio {
        of: Contender::RecordOn,
        to: Contender::Relay,
        target: Some(1.02),
    };
    print(&wakes, "wake-ups", samples, |sample| sample.wakes);
}

fn print(ratio: &Ratio, what: &str, samples: &[Vec<Sample>], figure: impl Fn(&Sample) -> f64) {
    let of = |contender: Contender| {
        &samples[Contender::ALL.iter().position(|c| *c == contender).unwrap()]
    };
    let pairs = of(ratio.of).iter().zip(of(ratio.to));
    let mut values: Vec<f64> = pairs.map(|(a, b)| figure(a) / figure(b)).collect();
    values.sort_by(f64::total_cmp);
    let middle = median(values.iter().copied());
    let target = match ratio.target {
        Some(target) if middle <= target => format!("target {target:.2}: met"),
        Some(target) => format!("target {target:.2}: MISSED"),
        None => String::new(),
    };
    let (low, high) = (values.first().unwrap(), values.last().unwrap());
    let pair = format!("{} / {}", ratio.of.name(), ratio.to.name());
    println!("  {what:<9} {pair:<30} {middle:.2} [{low:.2} .. {high:.2}]  {target}");
}

/// The least share of a round, as a percentage.
fn kept(samples: &[Sample]) -> String {
    let shares = samples.iter().filter_map(|sample| sample.kept);
    shares
        .min_by(f64::total_cmp)
        .map_or_else(String::new, |share| format!("{:.1} %", share * 100.0))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
