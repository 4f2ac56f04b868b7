//! Simulated reflectances compared with real ones: percentiles of 10,001 labelled
//! Sentinel-2 pixels over each land cover, without cloud and with.
//!
//! The table is beside the repository (`../shared/data/spectra.csv`); where it is missing,
//! the tests print that they are skipped. `--nocapture` prints what was compared.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use ndarray::Axis;

use super::ground::{Landscape, Mix};
use super::sky::Sky;
use super::spectra::{BANDS, Material};
use super::{Part, Simulator, stream};
use crate::band::SENTINEL2;
use crate::class::Class;

/// The percentiles compared, and their position among the table's columns.
const PERCENTILES: [(usize, usize); 5] = [(10, 5), (25, 6), (50, 7), (75, 8), (90, 9)];

/// Scenes drawn, of 48 pixels per side.
const SCENES: u64 = 600;
const SIDE: usize = 48;

/// Share of a cover's figures, 13 bands by 5 percentiles, that must be within
/// [`tolerance`] of the real ones.
const LEAST: f32 = 0.85;

type Percentiles = [f32; PERCENTILES.len()];

/// Percentiles of every band by land cover and sky.
type Table = BTreeMap<(String, String), [Percentiles; BANDS]>;

fn real() -> Option<Table> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/spectra.csv");
    let Ok(text) = std::fs::read_to_string(&path) else {
        let line = format!("SKIPPED: there is no {}\n", path.display());
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    };
    let mut table = Table::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let band = SENTINEL2
            .iter()
            .position(|(_, name, _)| *name == cells[3])
            .unwrap();
        table
            .entry((cells[0].to_owned(), cells[1].to_owned()))
            .or_insert([[f32::NAN; 5]; BANDS])[band] =
            PERCENTILES.map(|(_, column)| cells[column].parse().unwrap());
    }
    Some(table)
}

/// The table's land cover of a pixel; `None` for what it has no counterpart of.
fn land_cover(landscape: Landscape, mix: &Mix) -> Option<&'static str> {
    use Material as M;
    let main = if mix.share > 0.5 {
        mix.second
    } else {
        mix.first
    };
    // Woods and lakes half under snow are rarer on the real Earth than here.
    let snow = |m: M| matches!(m, M::FreshSnow | M::OldSnow);
    let mixed =
        snow(main) != snow(mix.first) || snow(mix.second) && (0.1..0.5).contains(&mix.share);
    if mixed && (!snow(main) || mix.share < 0.6) {
        return None;
    }
    Some(match (landscape, main) {
        (_, M::FreshSnow | M::OldSnow) => "snow or ice",
        (_, M::ClearWater | M::TurbidWater | M::Glint | M::MuddyWater) => "water",
        _ if mix.first == M::Marsh => "flooded vegetation",
        (_, M::GreenWater) => "water",
        (Landscape::Urban, M::Asphalt | M::BrightRoof | M::TileRoof | M::Grass | M::Broadleaf) => {
            "built"
        }
        (_, M::Asphalt | M::BrightRoof | M::TileRoof) => return None,
        (_, M::Broadleaf | M::Conifer | M::DryWood) => "trees",
        (Landscape::Desert, _) => "bare",
        (Landscape::Hills, _) => "rangeland",
        _ => "crops",
    })
}

/// Percentiles of what `simulator` makes.
fn simulated(simulator: &Simulator) -> Table {
    let mut values: BTreeMap<(String, String), Vec<Vec<u16>>> = BTreeMap::new();
    for index in 0..SCENES {
        let (ground, cloudy) = simulator.draw(77, index, SIDE);
        let clear = Sky {
            layers: vec![],
            ..cloudy.clone()
        };
        for (name, sky) in [("no cloud", clear), ("cloud", cloudy)] {
            let scene =
                simulator.photograph(&ground, &sky, 0, &mut stream(77, Part::Sensor, index));
            for ((at, mix), label) in ground.cover.indexed_iter().zip(&scene.label) {
                let cloud = [Class::Thick as u8, Class::Thin as u8].contains(label);
                let requested = match name {
                    "cloud" => cloud,
                    _ => *label == Class::Clear as u8,
                };
                // A few pixels per scene are enough.
                let some = (at.0 * 7 + at.1 * 3) % 11 == 0;
                let Some(cover) = land_cover(ground.landscape, mix).filter(|_| requested && some)
                else {
                    continue;
                };
                let bands = values
                    .entry((cover.to_owned(), name.to_owned()))
                    .or_insert_with(|| vec![vec![]; BANDS]);
                for (values, band) in bands.iter_mut().zip(scene.bands.axis_iter(Axis(0))) {
                    values.push(band[at]);
                }
            }
        }
    }
    values
        .into_iter()
        .map(|(key, mut bands)| {
            let mut percentiles = [[0.0; PERCENTILES.len()]; BANDS];
            for (row, values) in percentiles.iter_mut().zip(&mut bands) {
                values.sort_unstable();
                *row = PERCENTILES
                    .map(|(p, _)| f32::from(values[(values.len() - 1) * p / 100]) / 10_000.0);
            }
            (key, percentiles)
        })
        .collect()
}

/// Prints both and gives back the share of figures within tolerance, per cover and sky.
fn compare(real: &Table, made: &Table) -> BTreeMap<(String, String), f32> {
    let mut shares = BTreeMap::new();
    for (key, truth) in real {
        let Some(made) = made.get(key) else {
            println!("{key:?}: not simulated");
            continue;
        };
        let mut within = 0;
        println!("\n{} under {}: real / simulated", key.0, key.1);
        for (band, (_, name, _)) in SENTINEL2.iter().enumerate() {
            print!("{name:>10}");
            for (k, (real, made)) in truth[band].iter().zip(made[band]).enumerate() {
                let good = (made - real).abs() <= tolerance(&key.1, k, *real);
                within += usize::from(good);
                let mark = if good { ' ' } else { '*' };
                print!("  {real:.4} {made:.4}{mark}");
            }
            println!();
        }
        let share = within as f32 / (BANDS * PERCENTILES.len()) as f32;
        println!("{:.0} % within tolerance", 100.0 * share);
        shares.insert(key.clone(), share);
    }
    shares
}

/// Allowed difference of a simulated percentile from a real one.
fn tolerance(sky: &str, percentile: usize, real: f32) -> f32 {
    let inner = (1..4).contains(&percentile);
    match (sky, inner) {
        ("cloud", true) => 0.04 + 0.25 * real,
        ("cloud", false) => 0.05 + 0.35 * real,
        (_, true) => 0.015 + 0.2 * real,
        (_, false) => 0.02 + 0.3 * real,
    }
}

#[test]
fn spectra_are_those_of_real_images() {
    let Some(real) = real() else { return };
    let made = |realistic| {
        let simulator = Simulator {
            pixel: 20.0,
            hard: 0.3,
            realistic,
            ..Simulator::default()
        };
        println!("\n==== realistic: {realistic}");
        compare(&real, &simulated(&simulator))
    };
    let (plain, realistic) = (made(false), made(true));
    for (key, share) in &realistic {
        let before = plain.get(key).copied().unwrap_or(0.0);
        println!("{key:?}: {before:.2} within tolerance, realistic {share:.2}");
    }
    assert_eq!(realistic.len(), real.len(), "a cover is not simulated");
    for (key, share) in &realistic {
        assert!(*share >= LEAST, "{key:?}: {share:.2} within tolerance");
    }
}
