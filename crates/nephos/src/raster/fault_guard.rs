//! Mapped files that shrink while they are read.
//!
//! Reading a page past the end of a mapped file raises SIGBUS, which ends the process. Here
//! the signal is caught: where its address is within a registered mapping, the rest of
//! that mapping becomes zeros, the mapping is marked, and reading continues. Readers check
//! afterwards whether their mapping is marked, and discard what they read.

use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use libc::{c_int, c_void};

/// Mappings that are registered at once; those beyond are not.
const SLOTS: usize = 4096;

/// A mapping that is registered with the signal's handler.
struct Slot {
    taken: AtomicBool,
    /// First byte; 0 while the slot is not in use.
    start: AtomicUsize,
    end: AtomicUsize,
    faulted: AtomicBool,
}

static TABLE: [Slot; SLOTS] = [const {
    Slot {
        taken: AtomicBool::new(false),
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        faulted: AtomicBool::new(false),
    }
}; SLOTS];
/// Bytes of a page.
static PAGE: AtomicUsize = AtomicUsize::new(0);
/// The previous action of the signal: Rust's runtime detects stack overflows with it.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Registers a mapping until it is dropped, which must happen before it is unmapped.
pub(crate) struct FaultGuard(Option<&'static Slot>);

impl FaultGuard {
    pub fn over(bytes: &[u8]) -> Self {
        install();
        let free = |slot: &&Slot| {
            (slot.taken)
                .compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        let slot = TABLE.iter().find(free);
        if let Some(slot) = slot {
            let start = bytes.as_ptr() as usize;
            slot.faulted.store(false, Ordering::Relaxed);
            slot.end.store(start + bytes.len(), Ordering::Relaxed);
            slot.start.store(start, Ordering::Release);
        }
        Self(slot)
    }

    /// Whether a part of the mapping could not be read.
    pub fn has_faulted(&self) -> bool {
        self.0
            .is_some_and(|slot| slot.faulted.load(Ordering::Acquire))
    }
}

impl Drop for FaultGuard {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.start.store(0, Ordering::Release);
            slot.taken.store(false, Ordering::Release);
        }
    }
}

fn install() {
    BEFORE.get_or_init(|| {
        // SAFETY: plain queries and settings of the process; the handler does only what a
        // handler may do: reads and writes of atomics, and the system calls mmap and
        // sigaction.
        unsafe {
            let page = libc::sysconf(libc::_SC_PAGESIZE);
            PAGE.store(
                usize::try_from(page).unwrap_or(4096).max(1),
                Ordering::Release,
            );
            let mut before: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGBUS, ptr::null(), &mut before);
            let mut action: libc::sigaction = std::mem::zeroed();
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_fault;
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut action.sa_mask);
            libc::sigaction(libc::SIGBUS, &action, ptr::null_mut());
            before
        }
    });
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system hands over valid information.
    let address = unsafe { (*info).si_addr() } as usize;
    let page = PAGE.load(Ordering::Acquire);
    for slot in &TABLE {
        let start = slot.start.load(Ordering::Acquire);
        let end = slot.end.load(Ordering::Relaxed);
        if start == 0 || !(start..end).contains(&address) {
            continue;
        }
        let first = address - address % page;
        slot.faulted.store(true, Ordering::Release);
        // SAFETY: the pages from the fault to the end of a mapping of ours, read-only
        // before and after; their content is lost.
        let mapped = unsafe {
            libc::mmap(
                first as *mut c_void,
                end - first,
                libc::PROT_READ,
                libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANON,
                -1,
                0,
            )
        };
        if mapped != libc::MAP_FAILED {
            return;
        }
    }
    // Not ours: the previous action is taken, by the system or by the previous handler.
    // SAFETY: the action is the one that the system returned, its handler of the kind that
    // its flags state.
    unsafe {
        match BEFORE.get() {
            Some(before)
                if before.sa_sigaction != libc::SIG_DFL
                    && before.sa_sigaction != libc::SIG_IGN
                    && before.sa_flags & libc::SA_SIGINFO != 0 =>
            {
                let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                    std::mem::transmute(before.sa_sigaction);
                handler(signal, info, context);
            }
            // On return the same instruction faults again, now by the default.
            _ => {
                let mut default: libc::sigaction = std::mem::zeroed();
                default.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(libc::SIGBUS, &default, ptr::null_mut());
            }
        }
    }
}
