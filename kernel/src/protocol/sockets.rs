//! The one thread that owns all sockets.
//!
//! ZeroMQ sockets may be used by one thread at a time, so nobody else touches them. Whoever has
//! something to send gives it to a [`Wire`] and goes on; a byte in an eventfd wakes the thread. The
//! thread itself never waits for anybody: requests go to unbounded queues, heartbeats are echoed at
//! once, whatever the engine is doing.

use super::connection::Connection;
use super::message::{Channel, Message, Outgoing, Parent};
use super::signature::Signer;
use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender};
use serde_json::{Value, json};
use std::os::fd::RawFd;
use std::sync::Arc;

/// Where requests go, by socket.
pub struct Incoming {
    pub shell: Sender<Message>,
    pub control: Sender<Message>,
    pub stdin: Sender<Message>,
}

/// The way to the front ends, for any thread.
#[derive(Clone)]
pub struct Wire {
    queue: Sender<Order>,
    wake: Arc<Wake>,
}

enum Order {
    Send(Box<Outgoing>),
    /// Send all that is queued, close, and confirm.
    Stop(Sender<()>),
}

impl Wire {
    /// Publishes on iopub.
    pub fn publish(&self, parent: &Parent, kind: &'static str, content: Value) {
        self.send(Outgoing {
            channel: Channel::IoPub,
            kind,
            parent: parent.clone(),
            metadata: json!({}),
            content,
        });
    }

    /// Publishes the state `busy`, `idle` or `starting`.
    pub fn status(&self, parent: &Parent, state: &str) {
        self.publish(parent, "status", json!({ "execution_state": state }));
    }

    /// Answers a request on the socket by which it came.
    pub fn reply(&self, request: &Message, kind: &'static str, content: Value) {
        self.send(Outgoing {
            channel: request.channel,
            kind,
            parent: request.parent.clone(),
            metadata: json!({}),
            content,
        });
    }

    /// Sends any message.
    pub fn send(&self, message: Outgoing) {
        // An error means that the sockets are closed: the kernel is ending and nobody listens.
        let _ = self.queue.send(Order::Send(Box::new(message)));
        self.wake.signal();
    }

    /// Sends what is queued and closes the sockets.
    pub fn stop(&self) {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        if self.queue.send(Order::Stop(sender)).is_ok() {
            self.wake.signal();
            let _ = receiver.recv_timeout(std::time::Duration::from_secs(3));
        }
    }
}

/// An eventfd: the way to wake a thread that waits in `zmq_poll`.
struct Wake(RawFd);

impl Wake {
    fn new() -> anyhow::Result<Wake> {
        // SAFETY: a plain system call.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        anyhow::ensure!(fd >= 0, "eventfd: {}", std::io::Error::last_os_error());
        Ok(Wake(fd))
    }

    fn signal(&self) {
        // SAFETY: eight bytes of a local are written to a descriptor that lives as long as `self`.
        unsafe { libc::write(self.0, 1_u64.to_ne_bytes().as_ptr().cast(), 8) };
    }

    fn clear(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: as in `signal`, reading.
        unsafe { libc::read(self.0, count.as_mut_ptr().cast(), 8) };
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours and nobody uses it after this.
        unsafe { libc::close(self.0) };
    }
}

/// Binds all sockets, then starts the thread. Front ends wait for the ports, so this comes before
/// anything else that a kernel does.
///
/// # Errors
/// An address cannot be bound.
pub fn serve(connection: &Connection, incoming: Incoming, session: &str) -> anyhow::Result<Wire> {
    let context = zmq::Context::new();
    let bind = |kind: zmq::SocketType, url: String| -> anyhow::Result<zmq::Socket> {
        let socket = context.socket(kind)?;
        socket.set_linger(1000)?;
        if let Some(secret) = &connection.curve_secretkey {
            let secret = zmq::z85_decode(secret).context("curve_secretkey is not Z85 text")?;
            socket.set_curve_server(true)?;
            socket.set_curve_secretkey(&secret)?;
        }
        if kind == zmq::ROUTER {
            // A client that comes back under its old identity takes its place.
            socket.set_router_handover(true)?;
        } else if kind == zmq::XPUB {
            // Output is bounded by the session, not dropped here. A new subscriber is greeted even
            // if another one has the same subscription.
            socket.set_sndhwm(0)?;
            socket.set_xpub_verbose(true)?;
        }
        socket.bind(&url).with_context(|| {
            format!(
                "{url} cannot be bound\n\
                 why: probably another kernel uses the port\n\
                 do:  restart the kernel from the front end, which picks new ports"
            )
        })?;
        Ok(socket)
    };
    let info = &connection.info;
    let sockets = Sockets {
        shell: bind(zmq::ROUTER, info.shell_url())?,
        control: bind(zmq::ROUTER, info.control_url())?,
        stdin: bind(zmq::ROUTER, info.stdin_url())?,
        iopub: bind(zmq::XPUB, info.iopub_url())?,
        heartbeat: bind(zmq::REP, info.hb_url())?,
        signer: Signer::new(&info.key),
        session: session.to_owned(),
    };
    let (queue, orders) = crossbeam_channel::unbounded();
    let wake = Arc::new(Wake::new()?);
    let wire = Wire {
        queue,
        wake: Arc::clone(&wake),
    };
    std::thread::Builder::new()
        .name("sockets".to_owned())
        .spawn(move || sockets.run(&incoming, &orders, &wake))?;
    Ok(wire)
}

struct Sockets {
    shell: zmq::Socket,
    control: zmq::Socket,
    stdin: zmq::Socket,
    iopub: zmq::Socket,
    heartbeat: zmq::Socket,
    signer: Signer,
    session: String,
}

impl Sockets {
    fn run(mut self, incoming: &Incoming, orders: &Receiver<Order>, wake: &Wake) {
        loop {
            let mut items = [
                self.control.as_poll_item(zmq::POLLIN),
                self.shell.as_poll_item(zmq::POLLIN),
                self.stdin.as_poll_item(zmq::POLLIN),
                self.iopub.as_poll_item(zmq::POLLIN),
                self.heartbeat.as_poll_item(zmq::POLLIN),
                zmq::PollItem::from_fd(wake.0, zmq::POLLIN),
            ];
            match zmq::poll(&mut items, -1) {
                Ok(_) => {}
                Err(zmq::Error::EINTR) => continue,
                Err(error) => {
                    eprintln!("forkline: the sockets cannot be watched any more: {error}");
                    return;
                }
            }
            let ready = items.map(|item| item.is_readable());
            if ready[5] {
                wake.clear();
            }
            if ready[0] {
                self.receive(Channel::Control, &incoming.control);
            }
            if ready[1] {
                self.receive(Channel::Shell, &incoming.shell);
            }
            if ready[2] {
                self.receive(Channel::Stdin, &incoming.stdin);
            }
            if ready[3] {
                self.greet_subscribers();
            }
            if ready[4]
                && let Ok(beat) = self.heartbeat.recv_multipart(zmq::DONTWAIT)
            {
                let _ = self.heartbeat.send_multipart(beat, zmq::DONTWAIT);
            }
            while let Ok(order) = orders.try_recv() {
                match order {
                    Order::Send(message) => self.send(&message),
                    Order::Stop(done) => {
                        // Dropping the sockets here lets `linger` deliver what they hold.
                        drop(self);
                        let _ = done.send(());
                        return;
                    }
                }
            }
        }
    }

    fn socket(&self, channel: Channel) -> &zmq::Socket {
        match channel {
            Channel::Shell => &self.shell,
            Channel::Control => &self.control,
            Channel::Stdin => &self.stdin,
            Channel::IoPub => &self.iopub,
        }
    }

    /// Takes all that waits on one socket.
    fn receive(&mut self, channel: Channel, target: &Sender<Message>) {
        while let Ok(parts) = self.socket(channel).recv_multipart(zmq::DONTWAIT) {
            match Message::decode(channel, parts, &mut self.signer) {
                Ok(message) => {
                    let _ = target.send(message);
                }
                Err(why) => eprintln!("forkline: a message on {channel:?} was dropped: {why}"),
            }
        }
    }

    fn send(&self, message: &Outgoing) {
        let parts = message.encode(&self.session, &self.signer);
        if let Err(error) = self
            .socket(message.channel)
            .send_multipart(parts, zmq::DONTWAIT)
        {
            eprintln!("forkline: {} could not be sent: {error}", message.kind);
        }
    }

    /// Jupyter Enhancement Proposal 65: who subscribes is told so, and can rely on getting all
    /// that is published from then on.
    fn greet_subscribers(&self) {
        while let Ok(event) = self.iopub.recv_bytes(zmq::DONTWAIT) {
            // One byte says whether it is a subscription, the rest is the topic.
            let Some((1, topic)) = event.split_first() else {
                continue;
            };
            let welcome = Outgoing {
                channel: Channel::IoPub,
                kind: "iopub_welcome",
                parent: Parent::default(),
                metadata: json!({}),
                content: json!({ "subscription": String::from_utf8_lossy(topic) }),
            };
            let mut parts = welcome.encode(&self.session, &self.signer);
            parts[0] = topic.to_vec();
            let _ = self.iopub.send_multipart(parts, zmq::DONTWAIT);
        }
    }
}
