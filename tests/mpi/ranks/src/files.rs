//! Files that all ranks have open.

use std::fs;
use std::path::PathBuf;

use forkline::mpi::{Communicator, ErrorClass, File, Mode, MpiError, MpiResult, View};

/// A folder of this run's own, the same on all ranks; rank 0 makes it.
fn folder(world: &Communicator, name: &str) -> MpiResult<PathBuf> {
    let mine = (world.rank() == 0).then(|| {
        let name = format!("forkline-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("the folder for files can be made");
        folder
    });
    world.bcast(mine, 0)
}

fn remove(world: &Communicator, folder: &PathBuf) -> MpiResult<()> {
    world.barrier()?;
    if world.rank() == 0 {
        fs::remove_dir_all(folder).expect("the folder can be removed");
    }
    world.barrier()
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    let each = bytes.chunks_exact(4);
    each.map(|four| u32::from_ne_bytes(four.try_into().expect("four bytes")))
        .collect()
}

const MAKE: fn() -> Mode = || Mode::WRITE | Mode::READ | Mode::CREATE;

/// Blocks of all ranks in turn, by places and by a view; std reads the file.
pub fn blocks(world: &Communicator) -> MpiResult<()> {
    const BLOCK: usize = 5;
    let (rank, size) = (world.rank(), world.size());
    let folder = folder(world, "blocks")?;
    let path = folder.join("interleaved");
    let mine = |round: usize| -> Vec<u32> {
        let start = (round * size + rank) * BLOCK;
        (start as u32..(start + BLOCK) as u32).collect()
    };
    let wanted: Vec<u32> = (0..(3 * size * BLOCK) as u32).collect();

    let file = world.open_file(&path, MAKE())?;
    assert_eq!(file.path(), path);
    for round in 0..3 {
        let at = ((round * size + rank) * BLOCK) as u64;
        if round == 1 {
            file.write_at(&mine(round), at)?;
        } else {
            file.write_at_all(&mine(round), at)?;
        }
    }
    file.sync()?;
    assert_eq!(file.size()?, 4 * wanted.len() as u64);
    assert_eq!(
        numbers(&fs::read(&path).expect("the file is there")),
        wanted
    );
    // Each reads what its neighbour wrote, and at the end less than asked for.
    let next = (rank + 1) % size;
    let mut got = [0; BLOCK];
    assert_eq!(file.read_at(&mut got, (next * BLOCK) as u64)?, BLOCK);
    assert_eq!(got[0], (next * BLOCK) as u32);
    let near_end = wanted.len() as u64 - 2;
    assert_eq!(file.read_at_all(&mut got, near_end)?, 2);
    assert_eq!(got[..2], wanted[wanted.len() - 2..]);
    assert_eq!(file.read_at(&mut got, near_end + 100)?, 0);
    assert_eq!(file.read_at(&mut [], 0)?, 0);
    file.close()?;

    // The same by views: of each `size` blocks one.
    let other = folder.join("strided");
    let mut file: File<u32> = world.open_file(&other, MAKE())?;
    let view = View::strided((4 * rank * BLOCK) as u64, BLOCK, size * BLOCK);
    file.set_view(&view)?;
    file.write_at_all(&[mine(0), mine(1), mine(2)].concat(), 0)?;
    let mut back = [0; 2 * BLOCK];
    assert_eq!(file.read_at_all(&mut back, BLOCK as u64)?, 2 * BLOCK);
    assert_eq!(back[..], [mine(1), mine(2)].concat());
    file.close()?;
    world.barrier()?;
    assert_eq!(
        numbers(&fs::read(&other).expect("the file is there")),
        wanted
    );
    remove(world, &folder)
}

/// A header of other numbers, and columns of a matrix.
pub fn views(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let folder = folder(world, "views")?;
    let path = folder.join("matrix");
    let (rows, columns) = (4, 3 * size);
    let file = world.open_file::<u64>(&path, MAKE())?;
    if rank == 0 {
        file.write_at(&[rows as u64, columns as u64], 0)?;
    }
    let view = View::part_of(16, &[rows, columns], &[rows, 3], &[0, 3 * rank]);
    let matrix = file.with_view::<f32>(&view)?;
    let value = |row: usize, column: usize| (100 * row + column) as f32;
    let part: Vec<f32> = (0..rows)
        .flat_map(|row| (0..3).map(move |k| value(row, 3 * rank + k)))
        .collect();
    matrix.write_at_all(&part, 0)?;
    matrix.close()?;
    world.barrier()?;
    let bytes = fs::read(&path).expect("the file is there");
    assert_eq!(bytes.len(), 16 + 4 * rows * columns);
    assert_eq!(bytes[8..16], (columns as u64).to_ne_bytes());
    let wanted = (0..rows).flat_map(|row| (0..columns).map(move |column| value(row, column)));
    let found = bytes[16..]
        .chunks_exact(4)
        .map(|four| f32::from_ne_bytes(four.try_into().expect("four")));
    assert!(found.eq(wanted));
    // Read again as a whole, each its rows.
    let file = world.open_file::<f32>(&path, Mode::READ)?;
    let file = file.with_view::<f32>(&View::from_byte(16))?;
    let mut row = vec![0.0; columns];
    let at = rank % rows;
    assert_eq!(file.read_at(&mut row, (at * columns) as u64)?, columns);
    assert!(
        row.iter()
            .enumerate()
            .all(|(column, &x)| x == value(at, column))
    );
    file.close()?;
    // A view of one rank that makes no sense.
    let mut file = world.open_file::<u8>(&path, Mode::READ)?;
    let view = View::strided(0, 1, usize::from(rank != 0));
    let error = file.set_view(&view).unwrap_err();
    let wanted = if rank == 0 {
        "of each 0"
    } else {
        "rank 0 could not"
    };
    assert!(error.to_string().contains(wanted), "{error}");
    file.close()?;
    remove(world, &folder)
}

/// Parts of different lengths, one behind the other in the order of ranks.
pub fn ordered(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let folder = folder(world, "ordered")?;
    let path = folder.join("lines");
    let file = world.open_file(&path, MAKE())?;
    for round in 0..3 {
        let line = format!("{round}: rank {rank}{}\n", ".".repeat(rank));
        file.write_ordered(line.as_bytes())?;
    }
    file.sync()?;
    let wanted: String = (0..3)
        .flat_map(|round| {
            (0..size).map(move |rank| format!("{round}: rank {rank}{}\n", ".".repeat(rank)))
        })
        .collect();
    assert_eq!(
        fs::read_to_string(&path).expect("the file is there"),
        wanted
    );
    file.seek_shared(3)?;
    let mut start = vec![0; 1 + rank];
    assert_eq!(file.read_ordered(&mut start)?, 1 + rank);
    let at = 3 + (0..rank).map(|rank| 1 + rank).sum::<usize>();
    assert_eq!(start, &wanted.as_bytes()[at..][..=rank]);
    file.close()?;
    // At the end of what is there.
    let file = world.open_file(&path, Mode::WRITE | Mode::APPEND)?;
    file.write_ordered(&[b'a' + rank as u8])?;
    file.close()?;
    world.barrier()?;
    let tail: String = ('a'..).take(size).collect();
    let found = fs::read_to_string(&path).expect("the file is there");
    assert_eq!(found, wanted + &tail);
    world.barrier()?;
    // Cut, and grown with zeros.
    let file = world.open_file::<u8>(&path, Mode::WRITE | Mode::READ)?;
    file.set_size(2)?;
    file.set_size(5)?;
    file.sync()?;
    assert_eq!(
        (file.size()?, fs::read(&path).expect("there")),
        (5, b"0:\0\0\0".to_vec())
    );
    file.close()?;
    let file = world.open_file::<u8>(&path, Mode::READ | Mode::DELETE_ON_CLOSE)?;
    file.close()?;
    world.barrier()?;
    assert!(!path.exists());
    remove(world, &folder)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: MpiResult<T>, class: ErrorClass, wanted: &str) {
    let error = result.expect_err(wanted);
    assert_eq!(error.class(), Some(class), "{error}");
    assert!(matches!(error, MpiError::File { .. }), "{error:?}");
    assert!(error.to_string().contains(wanted), "{error}");
}

/// What cannot be opened is an error on every rank, with the path and the reason.
pub fn unopened(world: &Communicator) -> MpiResult<()> {
    let (rank, size) = (world.rank(), world.size());
    let folder = folder(world, "unopened")?;
    let open = |name: &str, mode: Mode| world.open_file::<u8>(folder.join(name), mode);
    refused(
        open("not-there", Mode::READ),
        ErrorClass::NoSuchFile,
        "not-there: No such file",
    );
    refused(
        open("no/file", MAKE()),
        ErrorClass::NoSuchFile,
        "no/file: No such file",
    );
    refused(open("", Mode::READ), ErrorClass::BadFile, "Is a directory");
    refused(
        open("x", Mode::READ | Mode::CREATE),
        ErrorClass::Other,
        "lacks `Mode::WRITE`",
    );
    let file = open("here", MAKE() | Mode::EXCLUSIVE)?;
    file.write_at_all(&[rank as u8], rank as u64)?;
    file.close()?;
    refused(
        open("here", MAKE() | Mode::EXCLUSIVE),
        ErrorClass::FileExists,
        "here: File exists",
    );
    refused(
        open("here/below", MAKE()),
        ErrorClass::BadFile,
        "Not a directory",
    );
    // Of one rank only.
    if size > 1 {
        let name = if rank == 1 { "here" } else { "not-there" };
        let error = open(name, Mode::READ).unwrap_err();
        let wanted = if rank == 1 {
            "could not take part"
        } else {
            "No such file"
        };
        assert!(
            error.to_string().contains(wanted) || matches!(error, MpiError::Mismatch { .. }),
            "{error}"
        );
        let mode = if rank == 1 { MAKE() } else { Mode::READ };
        let error = open("here", mode).unwrap_err();
        assert!(error.to_string().contains("other arguments"), "{error}");
    }
    let file = open("here", Mode::READ)?;
    refused(file.write_at(&[1], 0), ErrorClass::Access, "opened with");
    refused(
        file.write_at_all(&[1], 0),
        ErrorClass::Access,
        "opened with",
    );
    refused(file.set_size(0), ErrorClass::Access, "opened with");
    if size > 1 {
        let error = if rank == 1 {
            file.sync().unwrap_err()
        } else {
            file.read_at_all(&mut [0], 0).unwrap_err()
        };
        let wanted = "rank 0 is in read_at_all, rank 1 in sync";
        assert!(error.to_string().contains(wanted), "{error}");
    }
    let mut all = vec![0; size];
    assert_eq!(file.read_at_all(&mut all, 0)?, size);
    assert!(all.into_iter().eq(0..size as u8));
    file.close()?;
    // One that nobody closes.
    drop(open("here", Mode::READ)?);
    remove(world, &folder)
}
