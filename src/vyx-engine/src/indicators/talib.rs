//! Wraps a stream of the `ta-lib` crate as an [`Indicator`].
//!
//! A TA-Lib stream opens on lookback + 1 candles at once and then takes one at a time; each value is bit-identical to
//! the batch call over the same candles. So the wrapper gathers candles until it can open, and updates from then on.

use crate::catalog::Indicator;
use crate::eval::bank::{Bank, bank};
use std::sync::LazyLock;
use ta_lib::{Core, RetCode};

/// TA-Lib with its default settings: no unstable period. Immutable, shared by all states.
pub(super) static CORE: LazyLock<Core> = LazyLock::new(Core::new);

/// The lookback TA-Lib names for parameters that the catalog has checked.
pub(super) fn lookback(answer: Result<usize, RetCode>) -> usize {
    answer.expect("the catalog's bounds lie within TA-Lib's")
}

#[cfg(test)]
thread_local! {
    /// How many more candles than it must a stream of this thread gathers before it opens.
    pub(super) static LATER: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The state that the two halves of a TA-Lib stream make, with `I` inputs and `O` outputs.
pub(super) fn stream<H, const I: usize, const O: usize>(
    lookback: usize,
    open: impl Fn(&Core, [&[f64]; I]) -> Result<(H, [f64; O]), RetCode> + Send,
    update: impl Fn(&mut H, [f64; I]) -> Result<[f64; O], RetCode> + Send,
) -> impl Indicator
where
    H: Send,
{
    let history = std::array::from_fn(|_| Vec::with_capacity(lookback + 1));
    let need = lookback + 1;
    #[cfg(test)]
    let need = need + LATER.get();
    Stream { update, phase: Phase::Gathering(Box::new(Gathering { open, need, history })) }
}

/// The same for all symbols.
pub(super) fn streams<H, const I: usize, const O: usize>(
    lookback: usize,
    open: impl Fn(&Core, [&[f64]; I]) -> Result<(H, [f64; O]), RetCode> + Send + Copy + 'static,
    update: impl Fn(&mut H, [f64; I]) -> Result<[f64; O], RetCode> + Send + Copy + 'static,
) -> Box<dyn Bank>
where
    H: Send + 'static,
{
    bank(move || stream(lookback, open, update))
}

/// Opens a TA-Lib function with one output: the names of its lookback and its stream, its inputs, its constants.
macro_rules! single {
    ($lookback:ident, $open:ident, ($($input:ident),+), $p:ident $(, $name:ident = $value:expr)*) => {
        |$p: &[f64]| {
            $(let $name = $value;)*
            streams(
                lookback(CORE.$lookback($($name),*)),
                move |c, [$($input),+]| c.$open($($input,)+ $($name),*).map(|(h, v)| (h, [v])),
                |h, [$($input),+]| h.update($($input),+).map(|v| [v]),
            )
        }
    };
}
pub(super) use single;

/// The same of one period, and if not said otherwise of one series.
macro_rules! of_one_period {
    ($lookback:ident, $open:ident) => {
        of_one_period!($lookback, $open, (x))
    };
    ($lookback:ident, $open:ident, ($($input:ident),+)) => {
        $crate::indicators::talib::single!($lookback, $open, ($($input),+), p, n = period(p, 0))
    };
}
pub(super) use of_one_period;

struct Stream<H, Open, Update, const I: usize> {
    update: Update,
    phase: Phase<H, Open, I>,
}

enum Phase<H, Open, const I: usize> {
    /// Apart, since all that a step touches should be the handle.
    Gathering(Box<Gathering<Open, I>>),
    Running(H),
}

struct Gathering<Open, const I: usize> {
    open: Open,
    need: usize,
    history: [Vec<f64>; I],
}

impl<H, Open, Update, const I: usize, const O: usize> Indicator for Stream<H, Open, Update, I>
where
    H: Send,
    Open: Fn(&Core, [&[f64]; I]) -> Result<(H, [f64; O]), RetCode> + Send,
    Update: Fn(&mut H, [f64; I]) -> Result<[f64; O], RetCode> + Send,
{
    fn update(&mut self, inputs: &[f64], outputs: &mut [f64]) {
        let candle: [f64; I] = std::array::from_fn(|i| inputs[i]);
        let values = match &mut self.phase {
            Phase::Running(handle) => (self.update)(handle, candle),
            Phase::Gathering(gathering) => {
                let Gathering { open, need, history } = &mut **gathering;
                history.iter_mut().zip(candle).for_each(|(column, value)| column.push(value));
                if history[0].len() < *need {
                    outputs.fill(f64::NAN);
                    return;
                }
                let opened = open(&CORE, std::array::from_fn(|i| history[i].as_slice()));
                opened.map(|(handle, values)| {
                    self.phase = Phase::Running(handle);
                    values
                })
            }
        };
        // Only an overflow inside TA-Lib ends here: inputs are finite and parameters were checked.
        outputs.copy_from_slice(&values.unwrap_or([f64::NAN; O]));
    }
}
