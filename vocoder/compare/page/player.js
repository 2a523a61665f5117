"use strict";

// Plays several versions of one clip so that one can switch between them at any moment.
//
// All versions are channels of one buffer and played by one source: they cannot drift apart. Each
// channel has a gain; switching fades the old one out and then the new one in.

const FADE_S = 0.005;
// Changes take effect this much later, when the audio thread has not passed yet.
const LEAD_S = 0.025;
const SHORTEST_REGION_S = 0.1;

// A gain that moves along straight lines and can be sent elsewhere before it has arrived.
class Fader {
  constructor(param, value) {
    this.param = param;
    param.setValueAtTime(value, 0);
    Object.assign(this, { from: value, to: value, start: 0, stop: 0 });
  }

  at(time) {
    if (time <= this.start) return this.from;
    if (time >= this.stop) return this.to;
    return this.from + ((this.to - this.from) * (time - this.start)) / (this.stop - this.start);
  }

  fade(value, start) {
    const held = this.at(start);
    this.param.cancelScheduledValues(start);
    this.param.linearRampToValueAtTime(held, start); // what was under way, up to here
    this.param.linearRampToValueAtTime(value, start + FADE_S);
    Object.assign(this, { from: held, to: value, start, stop: start + FADE_S });
  }
}

class Player {
  constructor(context) {
    this.context = context;
    this.volume = context.createGain();
    this.volume.connect(context.destination);
    this.onchange = () => {};
    this.looping = true;
    this.run = null;
    this.whole = null;
  }

  // Takes mono AudioBuffers of equal rate; forgets what was loaded before.
  load(buffers) {
    this.pause();
    const length = Math.min(...buffers.map((buffer) => buffer.length));
    this.whole = this.context.createBuffer(buffers.length, length, buffers[0].sampleRate);
    buffers.forEach((buffer, index) => {
      this.whole.copyToChannel(buffer.getChannelData(0).subarray(0, length), index);
    });
    this.active = 0;
    this.heard = buffers.map(() => 0);
    this.region = { start: 0, stop: this.duration };
    this.rest = 0; // where playing goes on, while nothing plays
  }

  get duration() {
    return this.whole.duration;
  }

  get playing() {
    return this.run !== null;
  }

  get hasRegion() {
    return this.region.start > 0 || this.region.stop < this.duration;
  }

  // Where in the clip it is, in seconds.
  position(time = this.context.currentTime) {
    if (!this.run) return this.rest;
    const { start, stop } = this.region;
    const elapsed = this.run.offset + Math.max(0, time - this.run.when);
    return start + (elapsed % (stop - start));
  }

  play(when = this.context.currentTime + LEAD_S) {
    if (this.run || !this.whole) return;
    const { context } = this;
    if (context instanceof AudioContext) context.resume(); // browsers wait for a click
    const { start, stop } = this.region;
    const inside = this.rest >= start && this.rest < stop - FADE_S;
    const offset = inside ? this.rest - start : 0;
    const source = context.createBufferSource();
    source.buffer = this.#looped();
    source.loop = this.looping;
    const splitter = context.createChannelSplitter(this.whole.numberOfChannels);
    const out = context.createGain();
    source.connect(splitter);
    out.connect(this.volume);
    const faders = this.heard.map((_, index) => {
      const gain = context.createGain();
      splitter.connect(gain, index);
      gain.connect(out);
      return new Fader(gain.gain, index === this.active ? 1 : 0);
    });
    const envelope = new Fader(out.gain, 0);
    envelope.fade(1, when);
    source.start(when, offset);
    const run = { source, faders, envelope, when, offset };
    source.onended = () => {
      if (this.run !== run) return;
      this.tally();
      this.run = null;
      this.rest = this.region.start;
      this.onchange();
    };
    this.run = run;
    this.tallied = when;
    this.onchange();
  }

  // Returns the moment from which on it is silent.
  pause() {
    if (!this.run) return this.context.currentTime + LEAD_S;
    this.tally();
    const stop = this.context.currentTime + LEAD_S;
    const { source, envelope } = this.run;
    this.rest = this.position(stop);
    envelope.fade(0, stop);
    source.stop(stop + FADE_S);
    this.run = null;
    this.onchange();
    return stop + FADE_S;
  }

  toggle() {
    if (this.run) this.pause();
    else this.play();
  }

  select(index) {
    if (index !== this.active) {
      this.tally();
      if (this.run) {
        const start = this.context.currentTime + LEAD_S;
        this.run.faders[this.active].fade(0, start);
        this.run.faders[index].fade(1, start + FADE_S);
      }
      this.active = index;
    }
    this.onchange();
  }

  seek(position) {
    const { start, stop } = this.region;
    this.#moved(() => {
      this.rest = Math.min(Math.max(position, start), stop);
    });
  }

  setRegion(start, stop) {
    start = Math.min(Math.max(0, start), this.duration - SHORTEST_REGION_S);
    stop = Math.max(Math.min(stop, this.duration), start + SHORTEST_REGION_S);
    this.#moved(() => {
      this.region = { start: Math.max(0, start), stop: Math.min(stop, this.duration) };
      if (this.rest < start || this.rest >= stop) this.rest = this.region.start;
    });
  }

  setLooping(looping) {
    this.looping = looping;
    if (this.run) this.run.source.loop = looping;
    this.onchange();
  }

  // Adds what was heard since last time; to be called often.
  tally() {
    if (!this.run) return;
    const now = this.context.currentTime;
    if (now > this.tallied) {
      this.heard[this.active] += now - this.tallied;
      this.tallied = now;
    }
  }

  #moved(change) {
    const wasPlaying = this.playing;
    const silent = this.pause();
    change();
    if (wasPlaying) this.play(silent);
    this.onchange();
  }

  // The region by itself, its edges faded so that its seam does not click.
  #looped() {
    if (!this.hasRegion) return this.whole;
    const rate = this.whole.sampleRate;
    const first = Math.round(this.region.start * rate);
    const last = Math.round(this.region.stop * rate);
    const faded = Math.round(FADE_S * rate);
    const buffer = this.context.createBuffer(this.whole.numberOfChannels, last - first, rate);
    for (let channel = 0; channel < this.whole.numberOfChannels; channel += 1) {
      const samples = this.whole.getChannelData(channel).slice(first, last);
      for (let index = 0; index < faded; index += 1) {
        samples[index] *= index / faded;
        samples[samples.length - 1 - index] *= index / faded;
      }
      buffer.copyToChannel(samples, channel);
    }
    return buffer;
  }
}
