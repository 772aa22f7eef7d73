//! `tidewright broker` as a process: how it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tidewright_log::{Admin, KafkaConfig, Producer, Record, TopicKind, TopicSpec};

const TOPIC: &str = "ends";
/// More than the sockets between two processes hold.
const ANSWER_BYTES: usize = 48 << 20;

struct BrokerProcess {
    child: Child,
    address: String,
}

impl BrokerProcess {
    fn start(directory: &Path) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidewright"));
        command.args(["broker", "--port", "0", "--data-dir"]).arg(directory).stdout(Stdio::piped());
        let child = command.spawn()?;
        let mut broker = Self { child, address: String::new() };
        let mut ready = String::new();
        BufReader::new(broker.child.stdout.take().context("no output")?).read_line(&mut ready)?;
        let ready: serde_json::Value = serde_json::from_str(&ready)?;
        ready["kafka"].as_str().context("no address")?.clone_into(&mut broker.address);
        Ok(broker)
    }

    fn send(&self, signal: &str) -> Result<()> {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status()?;
        ensure!(sent.success(), "{signal} cannot be sent");
        Ok(())
    }

    async fn fill(&self, bytes: usize) -> Result<()> {
        let config = KafkaConfig::new(&self.address);
        Admin::new(&config)?.ensure_topics(&[TopicSpec::new(TOPIC, TopicKind::Tasks, 1)]).await?;
        let producer = Producer::new(&config)?;
        let mut left = bytes;
        while left > 0 {
            let size = left.min(4 << 20);
            producer.send(Record::to(TOPIC).partition(0).key("k").value(vec![b'x'; size])).await.await?;
            left -= size;
        }
        Ok(())
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        // Ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn sigterm_closes_connections_and_ends_in_good_order() -> Result<()> {
    let directory = tempfile::tempdir()?;
    // The second one finds the directory free.
    for _ in 0..2 {
        let mut broker = BrokerProcess::start(directory.path())?;
        broker.fill(1).await?;
        let mut client = connected(&broker.address)?;
        broker.send("-TERM")?;
        let mut rest = Vec::new();
        client.read_to_end(&mut rest)?;
        ensure!(rest.is_empty(), "nobody asked for anything");
        ensure!(broker.child.wait()?.code() == Some(0), "it did not end in good order");
        let partition = directory.path().join(format!("{TOPIC}-0"));
        ensure!(partition.join("clean-stop").is_file(), "the next start would read the log");
    }
    Ok(())
}

/// A connection that the broker has taken, as its answer shows: one that still waits for that is reset.
fn connected(address: &str) -> Result<TcpStream> {
    let mut client = TcpStream::connect(address)?;
    // ApiVersions, version 0, correlation id, no client id.
    let request = [0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
    client.write_all(&u32::try_from(request.len())?.to_be_bytes())?;
    client.write_all(&request)?;
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    client.read_exact(&mut vec![0; usize::try_from(u32::from_be_bytes(length))?])?;
    Ok(client)
}

/// The first four bytes of an answer that is larger than the sockets are; the rest is never taken, so that the broker cannot
/// end this connection in good order.
fn hold_an_answer(address: &str) -> Result<TcpStream> {
    let mut request = Vec::new();
    // Fetch, version 4, correlation id, no client id.
    request.extend([0, 1, 0, 4, 0, 0, 0, 7, 0xff, 0xff]);
    let size = i32::try_from(ANSWER_BYTES)?.to_be_bytes();
    // A consumer that waits for nothing, takes at least one byte and so many at most, committed or not.
    for part in [(-1_i32).to_be_bytes(), 0_i32.to_be_bytes(), 1_i32.to_be_bytes(), size] {
        request.extend(part);
    }
    request.push(0);
    // One topic, and of it the first partition from the first offset on.
    request.extend(1_i32.to_be_bytes());
    request.extend(u16::try_from(TOPIC.len())?.to_be_bytes());
    request.extend(TOPIC.as_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(0_i32.to_be_bytes());
    request.extend(0_i64.to_be_bytes());
    request.extend(size);
    let mut client = TcpStream::connect(address)?;
    client.write_all(&u32::try_from(request.len())?.to_be_bytes())?;
    client.write_all(&request)?;
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length))?;
    ensure!(length > ANSWER_BYTES / 2, "an answer of {length} bytes may fit into the sockets");
    Ok(client)
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut broker = BrokerProcess::start(directory.path())?;
    broker.fill(ANSWER_BYTES).await?;
    let _held = hold_an_answer(&broker.address)?;
    // Both arrive before the broker can do anything, however slow this machine is.
    broker.send("-STOP")?;
    broker.send("-TERM")?;
    broker.send("-INT")?;
    broker.send("-CONT")?;
    ensure!(broker.child.wait()?.code() == Some(130), "it did not end at once");
    Ok(())
}
