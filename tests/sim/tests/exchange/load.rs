//! What the simulator costs at the size it is for. Measured on demand, in release mode:
//! `cargo test --release -p vyx-sim --test exchange -- --ignored --nocapture load`

use crate::harness::{Client, start};
use futures_util::StreamExt;
use serde_json::json;
use std::time::{Duration, Instant};
use vyx_sim::{Settings, universe};

const SYMBOLS: usize = 500;
const INTERVALS: [&str; 6] = ["1m", "5m", "15m", "1h", "4h", "1d"];
/// Names of one SUBSCRIBE message: 100 fit into 4,096 bytes with room.
const NAMES: usize = 100;
const MEASURED: Duration = Duration::from_secs(10);

/// Processor time of the simulator's thread, in ticks of 10 ms.
fn ticks() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let simulator = stats.filter(|stat| stat.contains("(vyx-sim)"));
    simulator
        .map(|stat| {
            let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
            fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
        })
        .sum()
}

#[tokio::test]
#[ignore = "a measurement, not a check"]
async fn load_of_3000_streams_at_speed_60() {
    for floor in [100, 1_000] {
        let update_floor = Duration::from_millis(floor);
        let simulator =
            start(Settings { symbols: universe(SYMBOLS), speed: 60.0, update_floor, ..Settings::default() });
        let mut readers = Vec::new();
        for interval in INTERVALS.chunks(2) {
            let mut client = Client::connect(&simulator, "/stream").await;
            let names: Vec<String> = simulator.market().symbols()[..SYMBOLS]
                .iter()
                .flat_map(|symbol| interval.iter().map(|interval| format!("{}@kline_{interval}", symbol.stream_name())))
                .collect();
            for (id, names) in names.chunks(NAMES).enumerate() {
                client.send(json!({"method": "SUBSCRIBE", "params": names, "id": id})).await;
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            readers.push(tokio::spawn(async move { while let Some(Ok(_)) = client.socket.next().await {} }));
        }
        let (frames, busy, began) = (simulator.state().frames_sent, ticks(), Instant::now());
        tokio::time::sleep(MEASURED).await;
        let seconds = began.elapsed().as_secs_f64();
        let state = simulator.state();
        eprintln!(
            "floor {floor} ms: {} streams, {:.0} frames/s, {:.0} % of a core, {} connections cut",
            state.streams,
            (state.frames_sent - frames) as f64 / seconds,
            (ticks() - busy) as f64 / seconds,
            state.cut_for_not_reading,
        );
        readers.iter().for_each(|reader| reader.abort());
    }
}
