//! What must hold of every simulated image.

use ndarray::s;

use super::cloud::{Layer, Phase, Shape};
use super::spectra::CIRRUS;
use super::*;
use crate::class::Class;

const BLUE: usize = 1;
const NIR: usize = 7;
const PIXEL: f64 = 10.0;

fn pieces(seed: u64, size: usize) -> (Ground, Sky) {
    let ground = Ground::draw(
        &mut stream(seed, Part::Ground, 0),
        size,
        PIXEL,
        Kind::default(),
    );
    let sky = Sky::draw(
        &mut stream(seed, Part::Sky, 0),
        size,
        PIXEL,
        Kind::default(),
    );
    (ground, sky)
}

/// One round cloud of 12 pixels' radius in the middle of 128.
fn disc(height: f32, phase: Phase, depth: f32) -> Layer {
    Layer {
        height,
        phase,
        radius: 12.0,
        shape: Shape::Disc {
            centre: [64.0; 2],
            radius: 12.0,
            depth,
        },
        relief: 0.0,
    }
}

fn photograph(ground: &Ground, sky: &Sky) -> SimulatedScene {
    Simulator::default().photograph(ground, sky, 0, &mut stream(1, Part::Sensor, 0))
}

/// Mean row and column of the pixels of a class.
fn centre(scene: &SimulatedScene, class: u8) -> Option<[f64; 2]> {
    let places: Vec<_> = scene
        .label
        .indexed_iter()
        .filter(|(_, code)| **code == class)
        .map(|(at, _)| at)
        .collect();
    let count = places.len() as f64;
    (count > 0.0).then(|| {
        [
            places.iter().map(|at| at.0 as f64).sum::<f64>() / count,
            places.iter().map(|at| at.1 as f64).sum::<f64>() / count,
        ]
    })
}

#[test]
fn an_image_depends_on_seed_and_index_alone() {
    let simulator = Simulator::default();
    let pool = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
    };
    let first = pool(1).install(|| simulator.simulate(5, 3, 64).unwrap());
    let again = pool(3).install(|| simulator.simulate(5, 3, 64).unwrap());
    assert_eq!(first, again);
    assert_ne!(first.bands, simulator.simulate(5, 4, 64).unwrap().bands);
    assert_ne!(first.bands, simulator.simulate(6, 3, 64).unwrap().bands);
}

#[test]
fn images_of_one_region_show_the_same_land() {
    let simulator = Simulator {
        images_per_roi: 2,
        ..Simulator::default()
    };
    let rois: Vec<_> = (0..4)
        .map(|index| simulator.simulate(1, index, 32).unwrap())
        .map(|scene| (scene.roi, scene.landscape))
        .collect();
    assert_eq!(rois.iter().map(|r| r.0).collect::<Vec<_>>(), [0, 0, 1, 1]);
    assert_eq!(rois[0], rois[1]);
    assert_eq!(rois[2], rois[3]);
}

#[test]
fn the_shadow_is_displaced_away_from_the_sun_by_geometry() {
    let (ground, mut sky) = pieces(2, 128);
    for (azimuth, row_sign, col_sign) in
        [(45.0, 1.0, -1.0), (135.0, -1.0, -1.0), (250.0, -1.0, 1.0)]
    {
        (sky.sun_azimuth, sky.sun_zenith) = (azimuth, 45.0);
        sky.air.sun_cosine = 45f32.to_radians().cos();
        sky.layers = vec![disc(400.0, Phase::Water, 30.0)];
        let scene = photograph(&ground, &sky);
        let cloud = centre(&scene, Class::Thick as u8).unwrap();
        let shadow = centre(&scene, Class::Shadow as u8).unwrap();
        let (down, right) = (shadow[0] - cloud[0], shadow[1] - cloud[1]);
        // 400 m up, sun at 45°: 400 m away, 40 pixels.
        assert!((down.hypot(right) - 40.0).abs() < 1.0, "{down} {right}");
        let direction = azimuth.to_radians() as f64;
        assert!((down - 40.0 * direction.cos()).abs() < 1.0, "down {down}");
        assert!(
            (right + 40.0 * direction.sin()).abs() < 1.0,
            "right {right}"
        );
        assert!(down * row_sign > 0.0 && right * col_sign > 0.0);
        let area = |class: Class| scene.label.iter().filter(|c| **c == class as u8).count() as f64;
        let ratio = area(Class::Shadow) / area(Class::Thick);
        assert!((ratio - 1.0).abs() < 0.15, "same shape, area ratio {ratio}");
    }
}

#[test]
fn clouds_brighten_and_shadows_darken_the_same_ground() {
    let mut seen = [0, 0];
    for seed in 0..12 {
        let (ground, sky) = pieces(seed, 96);
        // Snow and bright sand are as bright as clouds.
        if matches!(ground.landscape, Landscape::Snow | Landscape::Desert) {
            continue;
        }
        let mut clear_sky = sky.clone();
        clear_sky.layers.clear();
        let (cloudy, clear) = (photograph(&ground, &sky), photograph(&ground, &clear_sky));
        let mean = |scene: &SimulatedScene, band: usize, class: Class| {
            let values: Vec<f64> = scene
                .bands
                .slice(s![band, .., ..])
                .iter()
                .zip(&cloudy.label)
                .filter(|(_, code)| **code == class as u8)
                .map(|(value, _)| f64::from(*value))
                .collect();
            (values.len() >= 40).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        if let (Some(with), Some(without)) = (
            mean(&cloudy, BLUE, Class::Thick),
            mean(&clear, BLUE, Class::Thick),
        ) {
            seen[0] += 1;
            assert!(
                with > 1.5 * without,
                "seed {seed}: blue {with} under cloud, {without} clear"
            );
        }
        if let (Some(with), Some(without)) =
            (mean(&cloudy, NIR, Class::Shadow), mean(&clear, NIR, Class::Shadow))
            // Water is black in the near infrared, lit or not.
            && without > 1000.0
        {
            seen[1] += 1;
            assert!(
                with < 0.85 * without,
                "seed {seed}: nir {with} in shadow, {without} clear"
            );
        }
    }
    assert!(
        seen[0] >= 4 && seen[1] >= 4,
        "too few scenes to compare: {seen:?}"
    );
}

#[test]
fn shadows_are_blue() {
    let (ground, mut sky) = pieces(2, 128);
    (sky.sun_azimuth, sky.sun_zenith) = (135.0, 45.0);
    let lit = Sky {
        layers: vec![],
        ..sky.clone()
    };
    sky.layers = vec![disc(400.0, Phase::Water, 30.0)];
    let (shaded, lit) = (photograph(&ground, &sky), photograph(&ground, &lit));
    let kept = |band: usize| {
        let sum = |scene: &SimulatedScene| -> f64 {
            let plane = scene.bands.slice(s![band, .., ..]);
            plane
                .iter()
                .zip(&shaded.label)
                .filter(|(_, code)| **code == Class::Shadow as u8)
                .map(|(v, _)| f64::from(*v))
                .sum()
        };
        sum(&shaded) / sum(&lit)
    };
    assert!(
        kept(BLUE) > kept(3) && kept(3) > kept(NIR),
        "{} {} {}",
        kept(BLUE),
        kept(3),
        kept(NIR)
    );
}

#[test]
fn only_high_clouds_show_in_the_cirrus_band() {
    let (ground, mut sky) = pieces(4, 128);
    sky.air.vapour = 2.0;
    let mut cirrus = |layers: Vec<Layer>| {
        sky.layers = layers;
        let scene = photograph(&ground, &sky);
        scene
            .bands
            .slice(s![CIRRUS, 58..70, 58..70])
            .mapv(f64::from)
            .mean()
            .unwrap()
    };
    let clear = cirrus(vec![]);
    let low = cirrus(vec![disc(1000.0, Phase::Water, 30.0)]);
    let high = cirrus(vec![disc(10_000.0, Phase::Ice, 4.0)]);
    assert!(clear < 40.0, "ground shows: {clear}");
    assert!(low < 150.0, "low cloud shows: {low}");
    assert!(high > 500.0, "high cloud hides: {high}");
}

#[test]
fn thickness_makes_the_class() {
    let (ground, mut sky) = pieces(4, 128);
    for (depth, class) in [(0.2, Class::Clear), (1.5, Class::Thin), (8.0, Class::Thick)] {
        sky.layers = vec![disc(3000.0, Phase::Water, depth)];
        let scene = photograph(&ground, &sky);
        assert_eq!(
            scene.label[[64, 64]],
            class as u8,
            "optical thickness {depth}"
        );
    }
}

#[test]
fn all_classes_come_in_the_shares_of_real_collections() {
    let scenes = 24;
    let mut shares = [0.0; CLASS_COUNT];
    let simulator = Simulator {
        pixel: 40.0,
        ..Simulator::default()
    };
    for index in 0..scenes {
        let scene = simulator.simulate(11, index, 128).unwrap();
        assert!(
            scene
                .label
                .iter()
                .all(|code| Class::from_code(*code).is_some())
        );
        assert!(scene.bands.iter().all(|value| (1..30_000).contains(value)));
        for (sum, share) in shares.iter_mut().zip(scene.class_shares()) {
            *sum += share / scenes as f64;
        }
    }
    let bounds = [(0.30, 0.70), (0.12, 0.42), (0.06, 0.30), (0.03, 0.18)];
    for ((share, (low, high)), class) in shares.iter().zip(bounds).zip(Class::ALL) {
        assert!(
            (low..high).contains(share),
            "{}: {share:.3} of {shares:.3?}",
            class.name()
        );
    }
}

#[test]
fn hard_images_have_snow_and_deep_cloud_and_others_do_not_change() {
    let simulate = |hard, index| {
        let simulator = Simulator {
            pixel: 40.0,
            hard,
            ..Simulator::default()
        };
        simulator.simulate(5, index, 48).unwrap()
    };
    let mut kinds = [0; 3];
    for index in 0..24 {
        let scene = simulate(1.0, index);
        let (land, weather) = (scene.landscape, scene.weather);
        kinds[0] += usize::from(land == Landscape::Snowfield);
        kinds[1] += usize::from(weather == Weather::Deep);
        kinds[2] += usize::from(weather == Weather::Cloudless);
        if land == Landscape::Snowfield && weather == Weather::Cloudless {
            let mean = |band: usize| {
                let plane = scene.bands.index_axis(Axis(0), band);
                plane.iter().map(|v| f64::from(*v)).sum::<f64>() / plane.len() as f64
            };
            let (green, swir) = (mean(2), mean(11));
            assert!(
                (green - swir) / (green + swir) > 0.6,
                "snow: {green} {swir}"
            );
        }
        let mixed = simulate(0.5, index);
        assert!(mixed == scene || mixed == simulate(0.0, index));
    }
    assert!(kinds.iter().all(|count| *count >= 3), "{kinds:?}");
}

#[test]
fn sizes_and_pixels_out_of_range_are_errors() {
    let simulator = Simulator::default();
    assert!(simulator.simulate(1, 0, 31).is_err());
    assert!(simulator.simulate(1, 0, MAX_SIZE + 1).is_err());
    let bad = |pixel, images_per_roi, hard| {
        Simulator {
            pixel,
            images_per_roi,
            hard,
            ..Simulator::default()
        }
        .simulate(1, 0, 32)
    };
    assert!(bad(f64::NAN, 1, 0.0).is_err());
    assert!(bad(0.0, 1, 0.0).is_err());
    assert!(bad(10.0, 0, 0.0).is_err());
    assert!(bad(10.0, 1, 1.1).is_err());
}

#[test]
fn pictures_of_eight_bits_have_steps_and_saturate() {
    let simulator = Simulator {
        pixel: 40.0,
        hard: 1.0,
        eight_bit: 1.0,
        ..Simulator::default()
    };
    let whole = Simulator {
        eight_bit: 0.0,
        ..simulator
    };
    let mut saturated = 0;
    for index in 0..8 {
        let scene = simulator.simulate(5, index, 48).unwrap();
        let before = whole.simulate(5, index, 48).unwrap();
        assert_eq!(scene.label, before.label);
        for (value, before) in scene.bands.iter().zip(&before.bands) {
            let step = f32::from(*value) / EIGHT_BIT_STEP;
            assert!((step - step.round()).abs() < 0.02 && (1.0..=255.0).contains(&step.round()));
            if f32::from(*before) < 254.0 * EIGHT_BIT_STEP {
                assert!(value.abs_diff(*before) <= 28, "{before} became {value}");
            } else {
                saturated += usize::from(*value == 7143);
            }
        }
    }
    assert!(saturated > 0);
}

#[test]
fn high_dry_ground_is_visible_in_the_cirrus_band() {
    let simulator = Simulator {
        pixel: 40.0,
        realistic: true,
        ..Simulator::default()
    };
    let mut seen = 0;
    for index in 0..250 {
        let (ground, mut sky) = simulator.draw(3, index, 48);
        sky.layers.clear();
        if ground.landscape != Landscape::Desert {
            continue;
        }
        let mut cirrus = |altitude: f32| {
            sky.air.altitude = altitude;
            let scene = photograph(&ground, &sky);
            let band = scene.bands.index_axis(Axis(0), CIRRUS);
            band.iter().map(|v| f64::from(*v)).sum::<f64>() / band.len() as f64
        };
        let (low, high) = (cirrus(100.0), cirrus(4500.0));
        assert!(high > 25.0 && high > 2.0 * low, "{low} and {high}");
        seen += usize::from(ground.altitude > 2000.0);
    }
    assert!(seen > 1, "no plateaux: {seen}");
}

/// What was simulated before there was a `realistic` stays as it was, bit for bit: the
/// figures of the demo and the weights that come with nephos depend on it.
#[test]
fn images_without_the_option_are_bit_identical_to_earlier_versions() {
    let mut sums = Vec::new();
    for hard in [0.0, 1.0] {
        let simulator = Simulator {
            pixel: 40.0,
            hard,
            ..Simulator::default()
        };
        let scene = simulator.simulate(9, 3, 64).unwrap();
        let sum: u64 = scene.bands.iter().map(|v| u64::from(*v)).sum();
        let label: u64 = scene.label.iter().map(|v| u64::from(*v)).sum();
        sums.push((sum, label));
    }
    assert_eq!(sums, [(118_194_892, 4054), (153_981_903, 0)]);
}
