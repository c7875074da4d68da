//! Films in MP4 and its relatives (QuickTime, 3GP), and sound in M4A: size and length, from the boxes that say so. Only a few of them are
//! read, wherever in the file they are.

use super::super::outside::Files;

/// How many boxes are looked at in one file.
const BOXES: usize = 128;
/// Bytes of a box's head, with the longer form of its size.
const HEAD: u32 = 16;

/// What a film tells of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Film {
    /// As it is shown.
    pub(super) size: Option<(u32, u32)>,
    pub(super) seconds: Option<u32>,
}

/// Where the content of a box is.
#[derive(Debug, Clone, Copy)]
struct Content {
    start: u64,
    end: u64,
}

struct Reader<'o, O> {
    outside: &'o O,
    id: &'o str,
    left: usize,
}

impl<O: Files> Reader<'_, O> {
    /// The name and the content of the box at `at`, in what ends at `end`; and where the next one begins.
    async fn head(&mut self, at: u64, end: u64) -> Option<([u8; 4], Content)> {
        self.left = self.left.checked_sub(1)?;
        let head = self.outside.read(self.id, at, HEAD).await.ok()?;
        let size = u64::from(u32::from_be_bytes(head.get(..4)?.try_into().ok()?));
        let name: [u8; 4] = head.get(4..8)?.try_into().ok()?;
        let (size, skipped) = match size {
            0 => (end.checked_sub(at)?, 8),
            1 => (u64::from_be_bytes(head.get(8..16)?.try_into().ok()?), 16),
            size => (size, 8),
        };
        let next = at.checked_add(size).filter(|next| *next <= end)?;
        let start = at + skipped;
        (start <= next).then_some((name, Content { start, end: next }))
    }

    /// The first box of this name.
    async fn find(&mut self, name: &[u8; 4], within: Content) -> Option<Content> {
        let mut at = within.start;
        while at < within.end {
            let (found, content) = self.head(at, within.end).await?;
            if found == *name {
                return Some(content);
            }
            at = content.end;
        }
        None
    }

    async fn bytes(&self, content: Content, most: u64) -> Option<Vec<u8>> {
        let len = u32::try_from((content.end - content.start).min(most)).ok()?;
        self.outside.read(self.id, content.start, len).await.ok()
    }
}

/// Reads the file `id` of `size` bytes.
pub(super) async fn read<O: Files>(outside: &O, id: &str, size: u64) -> Film {
    let mut film = Film::default();
    let mut reader = Reader { outside, id, left: BOXES };
    // One of these stands first in every such file.
    match reader.head(0, size).await {
        Some((name, _)) if [b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"].contains(&&name) => {}
        _ => return film,
    }
    let Some(movie) = reader.find(b"moov", Content { start: 0, end: size }).await else { return film };
    let mut at = movie.start;
    while at < movie.end {
        let Some((name, content)) = reader.head(at, movie.end).await else { return film };
        at = content.end;
        match &name {
            b"mvhd" => film.seconds = reader.bytes(content, 32).await.and_then(|bytes| seconds(&bytes)),
            b"trak" if film.size.is_none() => {
                if let Some(header) = reader.find(b"tkhd", content).await {
                    film.size = reader.bytes(header, 96).await.and_then(|bytes| shown(&bytes));
                }
            }
            _ => {}
        }
    }
    film
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The length, from a movie's header; a part of a second counts as one.
fn seconds(header: &[u8]) -> Option<u32> {
    let (scale, length) = match header.first()? {
        0 => (long(header, 12)?, u64::from(long(header, 16)?)),
        1 => (long(header, 20)?, u64::from_be_bytes(header.get(24..32)?.try_into().ok()?)),
        _ => return None,
    };
    let seconds = length.checked_add(u64::from(scale).checked_sub(1)?)? / u64::from(scale);
    u32::try_from(seconds).ok().filter(|seconds| *seconds > 0)
}

/// The size, from a track's header; tracks of sound have none. A film that was taken upright is stored lying, with a matrix that turns it.
fn shown(header: &[u8]) -> Option<(u32, u32)> {
    let matrix = match header.first()? {
        0 => 40,
        1 => 52,
        _ => return None,
    };
    let (width, height) = (long(header, matrix + 36)? >> 16, long(header, matrix + 40)? >> 16);
    if width == 0 || height == 0 {
        return None;
    }
    let is_turned = long(header, matrix)? == 0 && long(header, matrix + 4)? != 0;
    Some(if is_turned { (height, width) } else { (width, height) })
}

#[cfg(test)]
mod tests {
    use super::super::super::outside::world::World;
    use super::*;
    use crate::identity::ready;

    fn boxed(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let mut out = (content.len() as u32 + 8).to_be_bytes().to_vec();
        out.extend_from_slice(name);
        out.extend_from_slice(content);
        out
    }

    fn movie_header(scale: u32, length: u32) -> Vec<u8> {
        let mut header = vec![0; 12];
        header.extend(scale.to_be_bytes());
        header.extend(length.to_be_bytes());
        header.extend([0; 80]);
        boxed(b"mvhd", &header)
    }

    fn track(width: u32, height: u32, is_turned: bool) -> Vec<u8> {
        let mut header = vec![0; 40];
        let one = 0x0001_0000_u32;
        let matrix = if is_turned { [0, one, 0, 0xffff_0000, 0, 0, 0, 0, 0] } else { [one, 0, 0, 0, one, 0, 0, 0, 0] };
        matrix.into_iter().for_each(|n: u32| header.extend(n.to_be_bytes()));
        header.extend((width << 16).to_be_bytes());
        header.extend((height << 16).to_be_bytes());
        boxed(b"trak", &[boxed(b"edts", &[0; 8]), boxed(b"tkhd", &header)].concat())
    }

    fn film(is_turned: bool) -> Vec<u8> {
        let movie = [movie_header(600, 600 * 12 + 1), track(0, 0, false), track(1280, 720, is_turned)].concat();
        [boxed(b"ftyp", b"isom\0\0\0\0"), boxed(b"mdat", &[7; 5_000]), boxed(b"moov", &movie)].concat()
    }

    fn of(bytes: Vec<u8>) -> Film {
        let mut world = World::new(|_, _| Ok((200, Vec::new())));
        let size = bytes.len() as u64;
        world.files.insert("f".into(), bytes);
        ready(read(&world, "f", size))
    }

    #[test]
    fn size_and_length_are_read_wherever_they_are() {
        assert_eq!(of(film(false)), Film { size: Some((1280, 720)), seconds: Some(13) });
        assert_eq!(of(film(true)), Film { size: Some((720, 1280)), seconds: Some(13) }, "taken upright");
    }

    #[test]
    fn sound_alone_has_a_length() {
        let movie = [movie_header(44_100, 44_100 * 3), track(0, 0, false)].concat();
        let file = [boxed(b"ftyp", b"M4A \0\0\0\0"), boxed(b"moov", &movie)].concat();
        assert_eq!(of(file), Film { size: None, seconds: Some(3) });
    }

    #[test]
    fn the_longer_forms_are_read_too() {
        let mut header = vec![1];
        header.extend([0; 19]);
        header.extend(1_000_u32.to_be_bytes());
        header.extend(5_500_u64.to_be_bytes());
        let movie = boxed(b"mvhd", &header);
        let mut file = boxed(b"ftyp", b"isom");
        file.extend(1_u32.to_be_bytes());
        file.extend(b"moov");
        file.extend((movie.len() as u64 + 16).to_be_bytes());
        file.extend(movie);
        assert_eq!(of(file).seconds, Some(6));
    }

    #[test]
    fn damage_tells_nothing_and_is_not_followed_for_ever() {
        let whole = film(false);
        for length in (0..whole.len()).step_by(97) {
            of(whole[..length].to_vec());
        }
        for at in (0..whole.len()).filter(|at| *at < 64 || *at + 400 > whole.len()) {
            let mut odd = whole.clone();
            odd[at] = 0xff;
            of(odd);
        }
        let empty = boxed(b"free", b"").repeat(100_000);
        let world = {
            let mut world = World::new(|_, _| Ok((200, Vec::new())));
            world.files.insert("f".into(), empty);
            world
        };
        assert_eq!(ready(read(&world, "f", 800_000)), Film::default());
        assert_eq!(of(boxed(b"moov", &movie_header(0, 5))), Film::default(), "no time scale");
        assert_eq!(of(b"RIFF....AVI ".to_vec()), Film::default());
    }
}
