//! The waveform of a voice message: 64 values from 0 to 100, which apps draw as bars.
//!
//! It is an approximation. The loudness of Opus is known only after decoding, for which there is no small decoder in Rust; so the bars
//! show how many bytes each moment took. A voice encoder spends few on silence and many on speech, so the bars tell pauses from words, but
//! not how loud somebody spoke. Pure.

/// How many bars.
const BARS: usize = 64;
/// The highest bar.
const HIGHEST: u32 = 100;
/// Packets that are looked at: more than an hour at 20 ms each.
const PACKETS: usize = 200_000;

/// The waveform of an Ogg Opus file; `None` if the file is not one, or has no sound.
pub(super) fn waveform(file: &[u8]) -> Option<Vec<u8>> {
    let packets = packets(file)?;
    let total: u64 = packets.iter().map(|packet| u64::from(packet.length)).sum();
    if total == 0 {
        return None;
    }
    // Bytes and time of each bar.
    let mut bars = [(0_u64, 0_u64); BARS];
    let mut at = 0_u64;
    for packet in &packets {
        let bar = usize::try_from(at * BARS as u64 / total).unwrap_or(BARS).min(BARS - 1);
        bars[bar].0 += u64::from(packet.bytes);
        bars[bar].1 += u64::from(packet.length);
        at += u64::from(packet.length);
    }
    // Bytes in 10 seconds; a bar between two long packets is as high as the one before.
    let mut before = 0;
    let rates: Vec<u64> = bars
        .iter()
        .map(|(bytes, length)| {
            if *length > 0 {
                before = bytes * 480_000 / length;
            }
            before
        })
        .collect();
    let (least, most) = (rates.iter().min().copied()?, rates.iter().max().copied()?);
    let span = most - least;
    let bar = |rate: &u64| match span {
        // The encoder spends the same on everything: nothing can be told apart.
        0 => HIGHEST / 2,
        span => u32::try_from((rate - least) * u64::from(HIGHEST) / span).unwrap_or(HIGHEST),
    };
    Some(rates.iter().map(|rate| bar(rate).min(HIGHEST) as u8).collect())
}

/// A packet of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packet {
    bytes: u32,
    /// How long it plays, in samples at 48 kHz.
    length: u32,
}

/// The packets of sound of the first stream.
fn packets(file: &[u8]) -> Option<Vec<Packet>> {
    let mut found = Vec::new();
    let mut rest = file;
    // Of the packet that is being put together: its first two bytes, and how many it has.
    let (mut first, mut bytes) = (Vec::with_capacity(2), 0_u32);
    let mut heads = 0;
    while let Some(page) = rest.strip_prefix(b"OggS") {
        let count = usize::from(*page.get(22)?);
        let lacing = page.get(23..23 + count)?;
        let mut body = page.get(23 + count..)?;
        for lace in lacing {
            let Some((piece, after)) = body.split_at_checked(usize::from(*lace)) else {
                // The file ends in the middle of a page: what came before is drawn.
                return Some(found);
            };
            body = after;
            first.extend(piece.iter().take(2 - first.len().min(2)));
            bytes += u32::from(*lace);
            if *lace == 255 {
                continue;
            }
            if heads == 0 && !piece.starts_with(b"OpusHead") {
                return None;
            }
            // The first two packets are heads.
            if heads < 2 {
                heads += 1;
            } else if found.len() < PACKETS {
                found.push(Packet { bytes, length: length(&first) });
            }
            first.clear();
            bytes = 0;
        }
        rest = body;
    }
    (heads > 0).then_some(found)
}

/// How long a packet plays, by its first bytes (RFC 6716, 3.1).
fn length(first: &[u8]) -> u32 {
    let Some(head) = first.first() else { return 0 };
    let frame = match head >> 3 {
        config @ 0..=11 => [480, 960, 1_920, 2_880][usize::from(config % 4)],
        config @ 12..=15 => [480, 960][usize::from(config % 2)],
        config => [120, 240, 480, 960][usize::from(config % 4)],
    };
    let frames = match head & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => first.get(1).map_or(0, |count| u32::from(count & 0x3f)),
    };
    // A packet plays at most 120 ms.
    (frame * frames).min(5_760)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page with these packets, each shorter than 255 bytes or exactly put into laces.
    fn page(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut lacing = Vec::new();
        for packet in packets {
            lacing.extend(std::iter::repeat_n(255, packet.len() / 255));
            lacing.push((packet.len() % 255) as u8);
        }
        let mut out = b"OggS".to_vec();
        out.extend([0; 22]);
        out.push(lacing.len() as u8);
        out.extend(lacing);
        packets.iter().for_each(|packet| out.extend(packet));
        out
    }

    /// A packet of 20 ms with this many bytes.
    fn sound(bytes: usize) -> Vec<u8> {
        let mut packet = vec![0; bytes];
        packet[0] = 1 << 3;
        packet
    }

    fn file(sizes: &[usize]) -> Vec<u8> {
        let mut out = page(&[b"OpusHead\x01\x01".to_vec()]);
        out.extend(page(&[b"OpusTags".to_vec()]));
        for part in sizes.chunks(50) {
            out.extend(page(&part.iter().map(|size| sound(*size)).collect::<Vec<_>>()));
        }
        out
    }

    #[test]
    fn pauses_are_low_and_words_are_high() {
        let mut sizes = vec![5; 320];
        sizes.extend(vec![120; 320]);
        let bars = waveform(&file(&sizes)).expect("is Opus");
        assert_eq!(bars.len(), BARS);
        assert!(bars[..31].iter().all(|bar| *bar == 0), "{bars:?}");
        assert!(bars[33..].iter().all(|bar| *bar == 100), "{bars:?}");
    }

    #[test]
    fn a_short_recording_and_a_constant_one_have_all_their_bars() {
        for sizes in [vec![40], vec![10, 90, 10], vec![80; 500], vec![300, 600, 900]] {
            let bars = waveform(&file(&sizes)).expect("is Opus");
            assert_eq!(bars.len(), BARS, "{sizes:?}");
            assert!(bars.iter().all(|bar| *bar <= 100));
        }
        assert!(waveform(&file(&[80; 500])).expect("is Opus").iter().all(|bar| *bar == 50));
    }

    #[test]
    fn a_packet_plays_as_long_as_its_head_says() {
        for (head, second, length_) in [
            (1 << 3, 0, 960),
            (3 << 3, 0, 2_880),
            (12 << 3, 0, 480),
            (16 << 3, 0, 120),
            (31 << 3 | 1, 0, 1_920),
            (31 << 3 | 3, 5, 4_800),
            (3 << 3 | 3, 63, 5_760),
        ] {
            assert_eq!(length(&[head, second]), length_, "{head}");
        }
        assert_eq!(length(&[]), 0);
        assert_eq!(length(&[3]), 0, "it says that a second byte follows");
    }

    #[test]
    fn what_is_no_opus_has_no_waveform_and_damage_ends_nothing() {
        assert_eq!(waveform(b""), None);
        assert_eq!(waveform(b"ID3"), None);
        assert_eq!(waveform(&page(&[b"\x01vorbis".to_vec()])), None);
        assert_eq!(waveform(&file(&[])), None, "no sound");
        let whole = file(&[60; 200]);
        for length in 0..whole.len() {
            waveform(&whole[..length]);
        }
        for at in 0..whole.len().min(400) {
            let mut odd = whole.clone();
            odd[at] = 0xff;
            waveform(&odd);
        }
    }
}
