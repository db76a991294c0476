//! gzip ([RFC 1952](https://www.rfc-editor.org/rfc/rfc1952)), in steps.
//!
//! A batch may be megabytes, which take many milliseconds to compress. Both
//! directions give the executor's thread back after each [`CHUNK`].

use core::future::poll_fn;
use core::task::Poll;
use std::io::Read;

use bytes::BytesMut;
use flate2::read::MultiGzDecoder;
use flate2::{Compress, CompressError, Compression, Crc, FlushCompress, Status};

/// A compressor that keeps its memory, about 300 KiB, from batch to batch.
pub(crate) struct Gzip {
    deflate: Compress,
    output: BytesMut,
}

impl Gzip {
    pub(crate) fn new() -> Self {
        Gzip {
            // Spans repeat themselves, and the fast level finds that: on generated
            // batches it takes a tenth of the default level's time, for a tenth
            // more bytes.
            deflate: Compress::new(Compression::fast(), false),
            output: BytesMut::new(),
        }
    }

    /// The input, compressed, after `prefix` zeros.
    ///
    /// # Errors
    ///
    /// None that the compressor is known to give; its type has them.
    pub(crate) async fn compress(
        &mut self,
        input: &[u8],
        prefix: usize,
    ) -> Result<BytesMut, CompressError> {
        self.deflate.reset();
        self.output.clear();
        self.output.resize(prefix, 0);
        self.output.extend_from_slice(&HEADER);
        let mut crc = Crc::new();
        for chunk in input.chunks(CHUNK) {
            crc.update(chunk);
            let mut rest = chunk;
            while !rest.is_empty() {
                let (used, _) = self.step(rest, FlushCompress::None)?;
                rest = &rest[used..];
            }
            yield_now().await;
        }
        while self.step(&[], FlushCompress::Finish)?.1 != Status::StreamEnd {}
        self.output.extend_from_slice(&crc.sum().to_le_bytes());
        self.output.extend_from_slice(&crc.amount().to_le_bytes());
        Ok(self.output.split())
    }

    /// Compresses some of the input, into room made for it.
    fn step(
        &mut self,
        input: &[u8],
        flush: FlushCompress,
    ) -> Result<(usize, Status), CompressError> {
        let written = self.output.len();
        let (total_in, total_out) = (self.deflate.total_in(), self.deflate.total_out());
        self.output.resize(written + CHUNK, 0);
        let status = self.deflate.compress(input, &mut self.output[written..], flush);
        // Both differences are at most the lengths given.
        let added = (self.deflate.total_out() - total_out) as usize;
        self.output.truncate(written + added);
        Ok(((self.deflate.total_in() - total_in) as usize, status?))
    }
}

/// Why there is no decompressed answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undecodable {
    TooLarge,
    Malformed,
}

/// The input, decompressed, unless it grows over the limit: a few kilobytes may
/// stand for gigabytes.
pub(crate) async fn decompress(input: &[u8], max_bytes: usize) -> Result<Vec<u8>, Undecodable> {
    let mut decoder = MultiGzDecoder::new(input);
    let mut output = Vec::new();
    loop {
        let mut chunk = [0; CHUNK / 8];
        match decoder.read(&mut chunk) {
            Ok(0) => return Ok(output),
            Ok(count) if count > max_bytes - output.len() => return Err(Undecodable::TooLarge),
            Ok(count) => output.extend_from_slice(&chunk[..count]),
            Err(_) => return Err(Undecodable::Malformed),
        }
        yield_now().await;
    }
}

/// Lets the executor run something else, once.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What is compressed between two yields: well under a millisecond of work.
const CHUNK: usize = 32 << 10;

/// Deflate, no flags, no time, fastest level, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff];

#[cfg(test)]
mod tests {
    use super::*;
    use core::future::Future;
    use core::pin::pin;
    use core::task::{Context, Waker};

    /// What the future gives, and how many times it was polled.
    fn polls<F: Future>(future: F) -> (F::Output, usize) {
        let mut future = pin!(future);
        let mut cx = Context::from_waker(Waker::noop());
        for count in 1.. {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return (output, count);
            }
        }
        unreachable!()
    }

    /// Bytes that compress, and bytes that do not.
    fn input(length: usize, random: bool) -> Vec<u8> {
        let mut state = 0x9e37_79b9_u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 24) as u8
        };
        (0..length).map(|at| if random { next() } else { (at / 100) as u8 }).collect()
    }

    #[test]
    fn what_is_compressed_can_be_read_and_the_state_is_used_again() {
        let mut gzip = Gzip::new();
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 10 * CHUNK] {
            for random in [false, true] {
                let input = input(length, random);
                let (output, _) = polls(gzip.compress(&input, 5));
                let output = output.unwrap();
                assert_eq!(output[..5], [0; 5]);
                let (read, _) = polls(decompress(&output[5..], length));
                assert_eq!(read, Ok(input));
            }
        }
    }

    #[test]
    fn the_thread_is_given_back_after_each_chunk() {
        let input = input(10 * CHUNK, true);
        let (output, count) = polls(Gzip::new().compress(&input, 0));
        assert_eq!(count, 11);
        let output = output.unwrap();
        let (_, count) = polls(decompress(&output, usize::MAX));
        assert!(count > 10, "{count}");
    }

    /// OTLP-6 ([OTLP/HTTP response](https://opentelemetry.io/docs/specs/otlp/#otlphttp-response)).
    #[test]
    fn an_answer_that_unpacks_over_the_limit_is_refused() {
        let (output, _) = polls(Gzip::new().compress(&[0; 100_000], 0));
        let output = output.unwrap();
        assert!(output.len() < 1000);
        let (read, _) = polls(decompress(&output, 99_999));
        assert_eq!(read, Err(Undecodable::TooLarge));
    }

    #[test]
    fn a_broken_answer_is_an_error_wherever_it_ends() {
        let (output, _) = polls(Gzip::new().compress(b"some answer", 0));
        let output = output.unwrap();
        for end in 1..output.len() {
            let (read, _) = polls(decompress(&output[..end], 100));
            assert_eq!(read, Err(Undecodable::Malformed), "cut at {end}");
        }
        let (read, _) = polls(decompress(b"no gzip at all", 100));
        assert_eq!(read, Err(Undecodable::Malformed));
    }
}
