//! What an image is made of.

use std::path::{Path, PathBuf};

use addr2line::Loader;
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, elf};

/// An ELF file for the board.
pub(crate) struct Image {
    /// The bytes that are written to flash: code, constants, initial values.
    pub(crate) code: u64,
    /// The bytes of memory that statics take.
    pub(crate) memory: u64,
    /// The code that comes from throughline-core, also what was inlined elsewhere,
    /// and what of the standard library was inlined into it.
    pub(crate) core: u64,
    /// The functions that exist only to panic.
    pub(crate) panicking: Vec<String>,
}

impl Image {
    /// # Errors
    ///
    /// The file is not there, or not an ELF file.
    pub(crate) fn read(path: &str) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
        let file = object::File::parse(&*bytes).map_err(|error| format!("{path}: {error}"))?;
        let mut image = Image { code: 0, memory: 0, core: 0, panicking: Vec::new() };
        let sources = Sources::of(path)?;
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            let has = |flag| sh_flags & flag == flag;
            if !has(elf::SHF_ALLOC) {
                continue;
            }
            let is_in_file = section.file_range().is_some();
            image.code += if is_in_file { section.size() } else { 0 };
            if section.kind() == SectionKind::Text {
                let addresses = section.address()..section.address() + section.size();
                let words = addresses.step_by(HALF_WORD as usize);
                let of_core = words.filter(|address| sources.is_core(*address)).count();
                image.core += of_core as u64 * HALF_WORD;
            }
            image.memory += if has(elf::SHF_WRITE) { section.size() } else { 0 };
        }
        let names = file.symbols().filter_map(|symbol| symbol.name().ok().map(str::to_owned));
        image.panicking = names.filter(|name| is_panicking(name)).collect();
        image.panicking.sort();
        Ok(image)
    }
}

/// Tells whose source an instruction comes from.
struct Sources {
    lines: Loader,
    core: PathBuf,
    firmware: PathBuf,
}

impl Sources {
    fn of(image: &str) -> Result<Self, String> {
        let lines = Loader::new(image).map_err(|error| format!("{image}: {error}"))?;
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let find = |folder| {
            let path = here.join(folder);
            path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))
        };
        Ok(Sources { lines, core: find("../../../core")?, firmware: find("..")? })
    }

    /// Whether the innermost function that is not of a library is of
    /// throughline-core.
    fn is_core(&self, address: u64) -> bool {
        let Ok(mut frames) = self.lines.find_frames(address) else { return false };
        while let Ok(Some(frame)) = frames.next() {
            let Some(file) = frame.location.and_then(|location| location.file) else { continue };
            if Path::new(file).starts_with(&self.core) {
                return true;
            }
            if Path::new(file).starts_with(&self.firmware) {
                return false;
            }
        }
        false
    }
}

/// The smallest instruction, in bytes.
const HALF_WORD: u64 = 2;

/// Whether a mangled name is of the panic handler, or of what calls it.
fn is_panicking(name: &str) -> bool {
    const NAMES: [&str; 5] =
        ["rust_begin_unwind", "9panicking", "slice_index_fail", "unwrap_failed", "expect_failed"];
    NAMES.iter().any(|part| name.contains(part))
}
