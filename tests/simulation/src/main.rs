//! `simulation --seeds A..B [--threads N]`, or `simulation --seed N [--trace]`. With `--survey` it goes on after a failure
//! and tells which invariants broke how often; with `--focus` seeds dwell on something.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use simulation::{Failed, Focus, Stats, run_seed};

const USAGE: &str = "usage: simulation --seeds A..B [--threads N] [--survey] [--focus forwarding|deletion]\n       simulation --seed N [--trace] [--focus forwarding|deletion]";
/// How many lines of a failing seed's trace are shown without `--trace`.
const LINES_SHOWN: usize = 80;

struct Options {
    from: u64,
    to: u64,
    threads: usize,
    traced: bool,
    survey: bool,
    focus: Focus,
}

fn options() -> Result<Options, String> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut options =
        Options { from: 0, to: 1_000, threads: cores, traced: false, survey: false, focus: Focus::Everything };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value\n{USAGE}"));
        let number = |text: &str| text.parse::<u64>().map_err(|e| format!("`{text}` is no number: {e}\n{USAGE}"));
        match argument.as_str() {
            "--seeds" => {
                let range = value()?;
                let (from, to) = range.split_once("..").ok_or_else(|| format!("`{range}` is not A..B\n{USAGE}"))?;
                (options.from, options.to) = (number(from)?, number(to)?);
            }
            "--seed" => {
                options.from = number(&value()?)?;
                options.to = options.from + 1;
            }
            "--threads" => options.threads = usize::try_from(number(&value()?)?).unwrap_or(1).max(1),
            "--survey" => options.survey = true,
            "--focus" => {
                options.focus = match value()?.as_str() {
                    "forwarding" => Focus::Forwarding,
                    "deletion" => Focus::Deletion,
                    other => return Err(format!("`{other}` is no focus\n{USAGE}")),
                }
            }
            "--trace" => options.traced = true,
            _ => return Err(format!("`{argument}` is no option\n{USAGE}")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    // A panic is a finding like any other; its place is told with the seed's trace.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    #[expect(clippy::disallowed_methods, reason = "how long it took is told, and nothing follows from it")]
    let (began, now) = (Instant::now(), Instant::now);
    match run_all(&options) {
        Ok(stats) => {
            println!("{}", summary(&options, &stats, now().duration_since(began).as_secs_f64()));
            ExitCode::SUCCESS
        }
        Err(failures) => {
            let first = failures.values().map(|(_, seed)| *seed).min().unwrap_or_default();
            if options.survey {
                for (rule, (count, seed)) in &failures {
                    println!("{count:>6} times {rule}, first in seed {seed}");
                }
            } else {
                report(first, options.focus, options.traced);
            }
            ExitCode::FAILURE
        }
    }
}

/// How often each invariant broke, and the first seed that broke it.
type Failures = BTreeMap<&'static str, (u64, u64)>;

/// All seeds, on all threads. Unless this is a survey, nothing above the lowest seed that failed is run.
fn run_all(options: &Options) -> Result<Stats, Failures> {
    let next = AtomicU64::new(options.from);
    let failed = AtomicU64::new(u64::MAX);
    let total = Mutex::new((Stats::default(), Failures::new()));
    std::thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(|| {
                let mut sum = Stats::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= options.to || seed >= failed.load(Ordering::Relaxed) {
                        break;
                    }
                    let Err(failure) = run_seed(seed, options.focus, false).map(|stats| sum.add(&stats)) else {
                        continue;
                    };
                    if !options.survey {
                        failed.fetch_min(failure.seed, Ordering::Relaxed);
                    }
                    let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                    let entry = total.1.entry(failure.violation.rule).or_insert((0, failure.seed));
                    *entry = (entry.0 + 1, entry.1.min(failure.seed));
                }
                total.lock().unwrap_or_else(PoisonError::into_inner).0.add(&sum);
            });
        }
    });
    let (stats, failures) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failures.is_empty() { Ok(stats) } else { Err(failures) }
}

/// Runs the failing seed once more, with its trace.
fn report(seed: u64, focus: Focus, whole: bool) {
    let Err(failure) = run_seed(seed, focus, true) else {
        println!("seed {seed} failed once and not again: something in it is not deterministic");
        return;
    };
    let Failed { violation, trace, .. } = *failure;
    let shown = if whole { 0 } else { trace.len().saturating_sub(LINES_SHOWN) };
    if let (true, Some(plan)) = (shown > 0, trace.first()) {
        println!("{plan}\n… {shown} steps; `--seed {seed} --trace` shows all");
    }
    for line in &trace[shown..] {
        println!("{line}");
    }
    println!("seed {seed} FAILED: {violation}");
}

fn summary(options: &Options, stats: &Stats, seconds: f64) -> String {
    let seeds = options.to.saturating_sub(options.from);
    format!("simulation: {seeds} seeds passed in {seconds:.1} s ({stats})")
}
