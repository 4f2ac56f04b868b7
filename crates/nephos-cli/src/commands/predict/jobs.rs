//! The scenes of a run, and the paths of their masks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::bail;
use nephos::config::DataConfig;
use nephos::data::Dataset;
use nephos::mask::MaskFormat;
use nephos::output::Declared;
use nephos::predict::{Outputs, SideOutput};

use super::Args;
use crate::model_args::{file_name, mask_name, open_whole, positions};

/// One scene and what is written of it.
pub struct Job {
    pub input: Input,
    /// Name in messages and tables.
    pub name: String,
    pub outputs: Outputs,
}

impl Input {
    /// The file or folder, and of a container the sample.
    pub fn source(&self) -> (&Path, Option<String>) {
        match self {
            Self::Scene(path) => (path, None),
            Self::Sample { dataset, index } => (dataset.path(), Some(dataset.name(*index))),
        }
    }
}

/// Source of a scene's pixels.
pub enum Input {
    /// A file or folder that is a scene.
    Scene(PathBuf),
    /// A sample of a container.
    Sample { dataset: Box<Dataset>, index: usize },
}

/// Every scene to segment, each with a mask of its own. Scenes are not opened yet:
/// a broken one must not stop the others.
pub fn jobs(args: &Args, data: &DataConfig) -> anyhow::Result<Vec<Job>> {
    let mut jobs = Vec::new();
    let scenes: Vec<&PathBuf> = (args.scenes.iter())
        .filter(|path| !is_out_dir(args, path))
        .collect();
    for path in &scenes {
        let path = *path;
        if nephos::samples::is_container(path) {
            let dataset = open_whole(path, data)?;
            let chosen = if args.sample.is_empty() {
                (0..dataset.len()).collect()
            } else {
                positions(&dataset, &args.sample)?
            };
            for index in chosen {
                let name = mask_name(&dataset, index);
                let dataset = Box::new(dataset.clone());
                let input = Input::Sample { dataset, index };
                jobs.push(job(args, input, name)?);
            }
        } else if args.sample.is_empty() {
            args.model.read.check_for_scene(path, false)?;
            jobs.push(job(args, Input::Scene(path.clone()), scene_name(path))?);
        } else {
            bail!("{}: --sample is for containers of samples", path.display());
        }
    }
    if jobs.is_empty() {
        bail!("no samples in the files given");
    }
    refuse_doubles(args, &jobs)?;
    (Declared::default())
        .reads_all(&scenes)
        .reads_named(&args.model.model)
        .writes_all(jobs.iter().flat_map(|job| job.outputs.files()))
        .check_places()?;
    Ok(jobs)
}

/// Whether a path is the folder of the masks, as where the shell's `*` found it beside the
/// scenes; a warning is logged.
fn is_out_dir(args: &Args, path: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    let folder = args.out_dir.as_deref().and_then(real);
    let several = args.scenes.len() > 1;
    let is_it = several && path.is_dir() && folder.is_some() && folder == real(path);
    if is_it {
        tracing::warn!(
            "{}: the folder of the masks is no scene; left out",
            path.display()
        );
    }
    is_it
}

fn job(args: &Args, input: Input, name: String) -> anyhow::Result<Job> {
    let mut side_outputs: BTreeSet<SideOutput> = args.with.iter().map(|with| with.0).collect();
    let format = args.format.as_deref().unwrap_or("tif");
    let mask = match (&args.out, &args.out_dir) {
        (_, Some(folder)) => {
            // The summary marks the scene as done for a later run.
            side_outputs.insert(SideOutput::Summary);
            folder.join(format!("{name}.{format}"))
        }
        (Some(mask), None) => {
            let named = MaskFormat::of(mask)?.extension();
            if format != named && args.format.is_some() {
                bail!(
                    "--format {format}: --out {} names another format; leave --format out, or \
                     give a name that ends in .{format}",
                    mask.display()
                );
            }
            mask.clone()
        }
        (None, None) => PathBuf::from(format!("{name}_mask.{format}")),
    };
    let outputs = Outputs { mask, side_outputs };
    outputs.check()?;
    Ok(Job {
        input,
        name,
        outputs,
    })
}

fn refuse_doubles(args: &Args, jobs: &[Job]) -> anyhow::Result<()> {
    let mut taken = BTreeSet::new();
    for path in jobs.iter().flat_map(|job| job.outputs.files()) {
        if taken.contains(&path) {
            match &args.out {
                Some(_) => bail!(
                    "--out takes the mask of one image, and there are more; use --out-dir, \
                     or choose one with --sample"
                ),
                None => bail!("two images would be written to {}", path.display()),
            }
        }
        taken.insert(path);
    }
    Ok(())
}

/// Name of a scene by its path: the file's stem, or the folder's where a product
/// is named by the metadata file in it.
pub fn scene_name(path: &Path) -> String {
    let own = path.file_name().unwrap_or_default().to_string_lossy();
    let metadata = own.starts_with("MTD_MSI") || own.contains("_MTL.");
    let named = match path.parent() {
        Some(folder) if metadata && folder.file_name().is_some() => folder,
        _ => path,
    };
    let name = named.file_name().unwrap_or_default().to_string_lossy();
    let mut stem = name.as_ref();
    for ending in [
        ".zip", ".SAFE", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2", ".vrt",
    ] {
        let cut = stem.len().saturating_sub(ending.len());
        if stem.is_char_boundary(cut) && stem[cut..].eq_ignore_ascii_case(ending) {
            stem = &stem[..cut];
        }
    }
    file_name(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_is_named_by_its_product() {
        for (path, name) in [
            ("a/T29.60m.tif", "T29.60m"),
            ("S2A_MSIL1C_X.SAFE", "S2A_MSIL1C_X"),
            ("in/S2A_MSIL1C_X.SAFE/", "S2A_MSIL1C_X"),
            ("S2A_MSIL1C_X.SAFE.zip", "S2A_MSIL1C_X"),
            ("S2A_MSIL1C_X.SAFE/MTD_MSIL1C.xml", "S2A_MSIL1C_X"),
            ("LC08_X/LC08_X_MTL.txt", "LC08_X"),
            ("é", "é"),
            ("in/scène ☁ (2).tif", "scène ☁ (2)"),
        ] {
            assert_eq!(scene_name(Path::new(path)), name, "{path}");
        }
    }
}
