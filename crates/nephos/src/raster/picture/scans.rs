//! Whether the scans of a JPEG hold all of its blocks: one whose data were cut off may
//! still end with an end-of-image marker, and decoders fill in what is missing.
//!
//! Huffman-coded JPEGs (SOF0, SOF1, and SOF2, which is progressive) are followed, symbol by
//! symbol and without computing a pixel (ITU T.81, Annexes F.2.2 and G.1.2); of others
//! all count as complete.

/// Larger pictures than a gigapixel are not followed.
const MOST_UNITS: usize = 1 << 24;

/// What the segments before a scan say.
#[derive(Default)]
pub(crate) struct Scans {
    frame: Option<Frame>,
    /// Of direct and alternating current, by number.
    tables: [[Option<Huffman>; 4]; 2],
    /// Units between restarts; 0: none.
    restart: usize,
    /// Components of the scans so far.
    seen: Vec<u8>,
    /// Of each component, and of each of its blocks: which coefficients are not 0, a bit
    /// each; in progressive JPEGs alone.
    known: Vec<(u8, Vec<u64>)>,
}

struct Frame {
    progressive: bool,
    width: usize,
    height: usize,
    /// Identifier, and blocks of a unit across and down.
    components: Vec<(u8, usize, usize)>,
}

impl Scans {
    /// Takes a segment; `body` is what follows its length.
    pub fn segment(&mut self, code: u8, body: &[u8]) {
        match code {
            0xc0..=0xc2 => self.frame = Frame::of(body, code == 0xc2),
            0xc4 => self.huffman(body),
            0xdd => {
                if let [high, low] = *body {
                    self.restart = usize::from(u16::from_be_bytes([high, low]));
                }
            }
            _ => {}
        }
    }

    fn huffman(&mut self, mut body: &[u8]) {
        while let Some((head, rest)) = body.split_first_chunk::<17>() {
            let counts = &head[1..];
            let symbols: usize = counts.iter().map(|count| usize::from(*count)).sum();
            let Some((symbols, rest)) = rest.split_at_checked(symbols) else {
                return;
            };
            let [class, number] = [usize::from(head[0] >> 4), usize::from(head[0] & 15)];
            if let Some(table) = self.tables.get_mut(class).and_then(|t| t.get_mut(number)) {
                *table = Some(Huffman::of(counts, symbols));
            }
            body = rest;
        }
    }

    /// Whether the entropy-coded data that begin with `data` hold all blocks of the scan
    /// whose header is `header`. True where that can't be determined.
    pub fn is_whole(&mut self, header: &[u8], data: &[u8]) -> bool {
        self.follow(header, data).unwrap_or(true)
    }

    /// Whether every component of the frame was in a scan. True where that can't be determined.
    pub fn are_all_seen(&self) -> bool {
        let seen = |(id, ..): &(u8, usize, usize)| self.seen.contains(id);
        self.frame
            .as_ref()
            .is_none_or(|frame| frame.components.iter().all(seen))
    }

    fn follow(&mut self, header: &[u8], data: &[u8]) -> Option<bool> {
        let frame = self.frame.as_ref()?;
        let count = usize::from(*header.first()?);
        let selectors = header.get(1..1 + 2 * count)?;
        self.seen
            .extend(selectors.chunks_exact(2).map(|selector| selector[0]));
        if frame.units() > MOST_UNITS {
            return None;
        }
        let [first, last, approximation] = *header.get(1 + 2 * count..4 + 2 * count)? else {
            return None;
        };
        let coding = match frame.progressive {
            false => Coding::Sequential,
            true => Coding::of(first, last, approximation >> 4 > 0)?,
        };
        // Of each component in the scan: blocks of a unit, and its tables.
        let mut parts = Vec::new();
        let mut units = frame.units();
        for selector in selectors.chunks_exact(2) {
            let component = frame
                .components
                .iter()
                .find(|(id, ..)| *id == selector[0])?;
            let (_, across, down) = *component;
            if count == 1 {
                units = frame.blocks(across, down);
            }
            let blocks = if count == 1 { 1 } else { across * down };
            let table = |class: usize, number: u8| {
                let table = self.tables[class].get(usize::from(number));
                table.and_then(Option::as_ref)
            };
            let tables = [table(0, selector[1] >> 4), table(1, selector[1] & 15)];
            let [direct, alternating] = coding.needs();
            if (direct && tables[0].is_none()) || (alternating && tables[1].is_none()) {
                return None;
            }
            parts.push((blocks, tables));
        }
        let known = match coding {
            Coding::Spectrum { .. } if count == 1 => {
                let id = selectors[0];
                if !self.known.iter().any(|(own, _)| *own == id) {
                    self.known.push((id, vec![0; units]));
                }
                let known = self.known.iter_mut().find(|(own, _)| *own == id);
                known
                    .map(|(_, known)| known)
                    .filter(|known| known.len() == units)
            }
            // Several components in such a scan are against the standard.
            Coding::Spectrum { .. } => return None,
            _ => None,
        };
        let mut walk = Walk {
            bits: Bits::of(data),
            coding,
            ended: 0,
        };
        let mut none = Vec::new();
        let known = known.unwrap_or(&mut none);
        for unit in 0..units {
            if self.restart > 0 && unit > 0 && unit % self.restart == 0 && !walk.restart() {
                return Some(false);
            }
            for (blocks, tables) in &parts {
                for _ in 0..*blocks {
                    if walk.block(*tables, known.get_mut(unit)).is_none() {
                        return Some(false);
                    }
                }
            }
        }
        Some(true)
    }
}

/// What a scan holds of each block.
#[derive(Clone, Copy)]
enum Coding {
    /// All of it.
    Sequential,
    /// The first coefficient, or a further bit of it.
    Direct { refines: bool },
    /// Some of the others, or a further bit of them.
    Spectrum {
        first: u32,
        last: u32,
        refines: bool,
    },
}

impl Coding {
    fn of(first: u8, last: u8, refines: bool) -> Option<Self> {
        match (first, last) {
            (0, 0) => Some(Self::Direct { refines }),
            (1..=63, last) if last >= first && last <= 63 => Some(Self::Spectrum {
                first: first.into(),
                last: last.into(),
                refines,
            }),
            _ => None,
        }
    }

    /// Whether it needs tables of direct and of alternating current.
    fn needs(self) -> [bool; 2] {
        match self {
            Self::Sequential => [true, true],
            Self::Direct { refines } => [!refines, false],
            Self::Spectrum { .. } => [false, true],
        }
    }
}

/// A scan that is being followed.
struct Walk<'a> {
    bits: Bits<'a>,
    coding: Coding,
    /// Further blocks in which nothing more follows.
    ended: u32,
}

impl Walk<'_> {
    fn restart(&mut self) -> bool {
        self.ended = 0;
        self.bits.restart()
    }

    /// Passes over one block; `None` where the data end, or hold no code.
    fn block(&mut self, tables: [Option<&Huffman>; 2], known: Option<&mut u64>) -> Option<()> {
        match self.coding {
            Coding::Sequential => sequential(&mut self.bits, tables[0]?, tables[1]?),
            Coding::Direct { refines: true } => self.bits.skip(1),
            Coding::Direct { refines: false } => {
                let size = tables[0]?.symbol(&mut self.bits)?;
                self.bits.skip(size.into())
            }
            Coding::Spectrum {
                first,
                last,
                refines: false,
            } => self.spectrum(tables[1]?, first, last, known?),
            Coding::Spectrum {
                first,
                last,
                refines: true,
            } => self.refinement(tables[1]?, first, last, known?),
        }
    }

    /// Coefficients of no earlier scan.
    fn spectrum(&mut self, table: &Huffman, first: u32, last: u32, known: &mut u64) -> Option<()> {
        if self.ended > 0 {
            self.ended -= 1;
            return Some(());
        }
        let mut place = first;
        while place <= last {
            let symbol = table.symbol(&mut self.bits)?;
            let [run, size] = [u32::from(symbol >> 4), u32::from(symbol & 15)];
            match (run, size) {
                (15, 0) => place += 16,
                (run, 0) => {
                    self.ended = (1 << run) - 1 + self.bits.number(run)?;
                    break;
                }
                _ => {
                    place += run;
                    *known |= 1u64.checked_shl(place).unwrap_or(0);
                    self.bits.skip(size as usize)?;
                    place += 1;
                }
            }
        }
        Some(())
    }

    /// A further bit of coefficients, and such as are not 0 from this bit on.
    fn refinement(
        &mut self,
        table: &Huffman,
        first: u32,
        last: u32,
        known: &mut u64,
    ) -> Option<()> {
        let mut place = first;
        if self.ended == 0 {
            while place <= last {
                let symbol = table.symbol(&mut self.bits)?;
                let [mut run, size] = [u32::from(symbol >> 4), u32::from(symbol & 15)];
                if size == 0 && run < 15 {
                    self.ended = (1 << run) + self.bits.number(run)?;
                    break;
                }
                self.bits.skip(usize::from(size > 0))?;
                // Over `run` coefficients that are 0, and those that are not.
                while place <= last {
                    match *known >> place & 1 {
                        1 => self.bits.skip(1)?,
                        _ if run == 0 => break,
                        _ => run -= 1,
                    }
                    place += 1;
                }
                if size > 0 && place <= last {
                    *known |= 1 << place;
                }
                place += 1;
            }
        }
        if self.ended > 0 {
            for place in place..=last {
                self.bits.skip((*known >> place & 1) as usize)?;
            }
            self.ended -= 1;
        }
        Some(())
    }
}

/// Passes over one block of a sequential scan.
fn sequential(bits: &mut Bits<'_>, direct: &Huffman, alternating: &Huffman) -> Option<()> {
    let size = direct.symbol(bits)?;
    bits.skip(usize::from(size))?;
    let mut place = 1;
    while place < 64 {
        let symbol = alternating.symbol(bits)?;
        let [run, size] = [usize::from(symbol >> 4), usize::from(symbol & 15)];
        match (run, size) {
            (15, 0) => place += 16,
            (_, 0) => break,
            _ => {
                place += run + 1;
                bits.skip(size)?;
            }
        }
    }
    Some(())
}

impl Frame {
    /// `None` where the size is not known, or the components are inconsistent.
    fn of(body: &[u8], progressive: bool) -> Option<Self> {
        let (head, rest) = body.split_first_chunk::<6>()?;
        let number = |at: usize| usize::from(u16::from_be_bytes([head[at], head[at + 1]]));
        let (height, width) = (number(1), number(3));
        let components: Vec<_> = (rest.chunks_exact(3).take(usize::from(head[5])))
            .map(|c| (c[0], usize::from(c[1] >> 4), usize::from(c[1] & 15)))
            .collect();
        let sound = |(_, across, down): &(u8, usize, usize)| *across > 0 && *down > 0;
        let message = width > 0 && height > 0 && !components.is_empty();
        (message && components.iter().all(sound)).then_some(Self {
            progressive,
            width,
            height,
            components,
        })
    }

    fn most(&self) -> [usize; 2] {
        let most = |of: fn(&(u8, usize, usize)) -> usize| self.components.iter().map(of).max();
        [most(|c| c.1), most(|c| c.2)].map(|most| most.unwrap_or(1))
    }

    /// Units of a scan of several components.
    fn units(&self) -> usize {
        let [across, down] = self.most();
        self.width.div_ceil(8 * across) * self.height.div_ceil(8 * down)
    }

    /// Blocks of a component that is alone in its scan.
    fn blocks(&self, across: usize, down: usize) -> usize {
        let most = self.most();
        let cols = (self.width * across).div_ceil(most[0]).div_ceil(8);
        let rows = (self.height * down).div_ceil(most[1]).div_ceil(8);
        cols * rows
    }
}

/// A canonical code (Annex F.2.2.3).
struct Huffman {
    /// Of each length: the first code, how many there are, and where their symbols begin.
    lengths: [(u32, u32, usize); 16],
    symbols: Vec<u8>,
}

impl Huffman {
    fn of(counts: &[u8], symbols: &[u8]) -> Self {
        let (mut code, mut start) = (0u32, 0usize);
        let mut lengths = [(0, 0, 0); 16];
        for (length, count) in lengths.iter_mut().zip(counts) {
            *length = (code, u32::from(*count), start);
            start += usize::from(*count);
            code = (code + u32::from(*count)) << 1;
        }
        Self {
            lengths,
            symbols: symbols.to_vec(),
        }
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Option<u8> {
        let mut code = 0;
        for (first, count, start) in &self.lengths {
            code = code << 1 | bits.next()?;
            if code.wrapping_sub(*first) < *count {
                return self.symbols.get(start + (code - first) as usize).copied();
            }
        }
        None
    }
}

/// The bits of a scan, to its next marker.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// Bits of the current byte that are left, the next one highest.
    byte: u8,
    left: usize,
}

impl<'a> Bits<'a> {
    fn of(data: &'a [u8]) -> Self {
        Self {
            data,
            at: 0,
            byte: 0,
            left: 0,
        }
    }

    fn next(&mut self) -> Option<u32> {
        if self.left == 0 {
            let byte = *self.data.get(self.at)?;
            // 0xff is data where a 0 follows, else it begins a marker.
            self.at += match (byte, self.data.get(self.at + 1)) {
                (0xff, Some(0)) => 2,
                (0xff, _) => return None,
                _ => 1,
            };
            (self.byte, self.left) = (byte, 8);
        }
        self.left -= 1;
        Some(u32::from(self.byte >> self.left & 1))
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        for _ in 0..count {
            self.next()?;
        }
        Some(())
    }

    fn number(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |number, _| Some(number << 1 | self.next()?))
    }

    /// Passes over a restart, which is next but for the rest of a byte.
    fn restart(&mut self) -> bool {
        self.left = 0;
        if self.data.get(self.at) != Some(&0xff) {
            return false;
        }
        while self.data.get(self.at) == Some(&0xff) {
            self.at += 1;
        }
        let found = matches!(self.data.get(self.at), Some(0xd0..=0xd7));
        self.at += 1;
        found
    }
}
