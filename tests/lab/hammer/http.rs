//! As much of an HTTP/1.1 client as counting needs.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::net::TcpStream;

pub struct Response {
    pub status: u16,
    pub body: String,
    pub close: bool,
}

/// Bodies by Content-Length, chunked, or until the end of the connection.
pub fn read_response(
    reader: &mut BufReader<TcpStream>,
    answering: &mut bool,
) -> io::Result<Response> {
    let status_line = read_line(reader, answering)?;
    let status = status_line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| malformed(&status_line))?;
    let (mut length, mut chunked, mut close) = (None, false, status_line.starts_with("HTTP/1.0"));
    loop {
        let header = read_line(reader, answering)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').ok_or_else(|| malformed(&header))?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.parse().map_err(|_| malformed(&header))?),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => close = value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let body = match length {
        _ if chunked => read_chunks(reader, answering)?,
        Some(length) => read_exactly(reader, length)?,
        None => {
            close = true;
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest)?;
            rest
        }
    };
    Ok(Response {
        status,
        body: String::from_utf8_lossy(&body).into_owned(),
        close,
    })
}

pub fn malformed(line: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("not HTTP: {line:?}"))
}

pub fn read_line(reader: &mut BufReader<TcpStream>, answering: &mut bool) -> io::Result<String> {
    let mut line = Vec::new();
    let read = reader.read_until(b'\n', &mut line);
    *answering |= !line.is_empty();
    read?;
    if line.pop() != Some(b'\n') {
        return Err(io::Error::new(
            ErrorKind::UnexpectedEof,
            "the server closed the connection",
        ));
    }
    Ok(String::from_utf8_lossy(&line)
        .trim_end_matches('\r')
        .to_owned())
}

pub fn read_exactly(reader: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    reader.take(length as u64).read_to_end(&mut body)?;
    if body.len() < length {
        let why = format!("the body ended after {} of {length} bytes", body.len());
        return Err(io::Error::new(ErrorKind::UnexpectedEof, why));
    }
    Ok(body)
}

pub fn read_chunks(reader: &mut BufReader<TcpStream>, answering: &mut bool) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(reader, answering)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| malformed(&line))?;
        body.extend(read_exactly(reader, size)?);
        if size > 0 {
            read_line(reader, answering)?;
        } else {
            while !read_line(reader, answering)?.is_empty() {}
            return Ok(body);
        }
    }
}
