//! Drawing without a window and without a display, on any GPU or software driver.

use std::time::Duration;

use egui::{Context, FullOutput, RawInput, Rect, Theme, pos2, vec2};
use egui_wgpu::{
    RenderState, RendererOptions, ScreenDescriptor, WgpuConfiguration, WgpuSetup, wgpu,
};
use image::RgbaImage;

use crate::app::App;

/// The maximum time that a driver may take for a picture.
const RENDER_TIMEOUT: Duration = Duration::from_secs(30);

/// Draws the app into pictures. It has its own clock, so that they are reproducible.
pub struct OffscreenRenderer {
    ctx: Context,
    state: RenderState,
    /// Width and height in pixels.
    size: [u32; 2],
    /// Pixels per point.
    scale: f32,
    /// The time of the last frame, in seconds.
    time: f64,
    /// The result of the last frame.
    output: Option<FullOutput>,
}

impl std::fmt::Debug for OffscreenRenderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OffscreenRenderer")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl OffscreenRenderer {
    /// Creates a renderer for pictures of `size` pixels, at `scale` pixels per point.
    ///
    /// # Errors
    /// If there is no driver that can draw.
    pub fn new(size: [u32; 2], scale: f32) -> Result<Self, String> {
        let config = WgpuConfiguration {
            wgpu_setup: WgpuSetup::without_display_handle(),
            ..WgpuConfiguration::default()
        };
        let instance = pollster::block_on(config.wgpu_setup.new_instance());
        let options = RendererOptions::PREDICTABLE;
        let state = pollster::block_on(RenderState::create(&config, &instance, None, options))
            .map_err(|e| format!("no graphics driver can draw a picture: {e}"))?;
        Ok(Self {
            ctx: Context::default(),
            state,
            size,
            scale,
            time: 0.0,
            output: None,
        })
    }

    /// Returns width and height in pixels.
    pub fn size(&self) -> [u32; 2] {
        self.size
    }

    /// Returns the egui context in which the app runs.
    pub fn context(&self) -> &Context {
        &self.ctx
    }

    /// Runs one frame of the app, `seconds` after the last.
    pub fn run_frame(&mut self, app: &mut App, seconds: f64) {
        self.time += seconds;
        let [width, height] = self.size.map(|pixels| pixels as f32 / self.scale);
        let mut input = RawInput {
            screen_rect: Some(Rect::from_min_size(pos2(0.0, 0.0), vec2(width, height))),
            time: Some(self.time),
            system_theme: Some(Theme::Light),
            focused: true,
            ..RawInput::default()
        };
        let viewport = input.viewports.entry(input.viewport_id).or_default();
        viewport.native_pixels_per_point = Some(self.scale);
        let mut output = self.ctx.run_ui(input, |ui| app.ui(ui));
        let mut renderer = self.state.renderer.write();
        for (id, images) in output.textures_delta.set.drain() {
            for image in images {
                renderer.update_texture(&self.state.device, &self.state.queue, id, &image);
            }
        }
        for id in output.textures_delta.free.drain() {
            renderer.free_texture(&id);
        }
        drop(renderer);
        self.output = Some(output);
    }

    /// Draws the last frame.
    ///
    /// # Errors
    /// If there is no frame yet, or the driver fails.
    pub fn render(&self) -> Result<RgbaImage, String> {
        let output = self.output.as_ref().ok_or("there is no frame yet")?;
        let RenderState { device, queue, .. } = &self.state;
        let screen = ScreenDescriptor {
            size_in_pixels: self.size,
            pixels_per_point: output.pixels_per_point,
        };
        let shapes = self
            .ctx
            .tessellate(output.shapes.clone(), output.pixels_per_point);
        let texture = self.texture();
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut renderer = self.state.renderer.write();
        let mut commands = renderer.update_buffers(device, queue, &mut encoder, &shapes, &screen);
        {
            let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
            let target = wgpu::RenderPassColorAttachment {
                view: &view,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                    store: wgpu::StoreOp::Store,
                },
                depth_slice: None,
            };
            let pass = wgpu::RenderPassDescriptor {
                color_attachments: &[Some(target)],
                ..wgpu::RenderPassDescriptor::default()
            };
            renderer.render(
                &mut encoder.begin_render_pass(&pass).forget_lifetime(),
                &shapes,
                &screen,
            );
        }
        commands.push(encoder.finish());
        queue.submit(commands);
        self.read(&texture)
    }

    fn texture(&self) -> wgpu::Texture {
        let [width, height] = self.size;
        self.state.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("picture"),
            size: wgpu::Extent3d {
                width,
                height,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: self.state.target_format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        })
    }

    fn read(&self, texture: &wgpu::Texture) -> Result<RgbaImage, String> {
        let RenderState { device, queue, .. } = &self.state;
        let [width, height] = self.size;
        // Rows in a buffer begin at multiples of 256 bytes.
        let row = width * 4;
        let padded = row.next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("picture"),
            size: u64::from(padded) * u64::from(height),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(padded),
            rows_per_image: None,
        };
        let target = wgpu::TexelCopyBufferInfo {
            buffer: &buffer,
            layout,
        };
        encoder.copy_texture_to_buffer(texture.as_image_copy(), target, texture.size());
        queue.submit([encoder.finish()]);
        let (sender, receiver) = std::sync::mpsc::channel();
        buffer
            .slice(..)
            .map_async(wgpu::MapMode::Read, move |mapped| drop(sender.send(mapped)));
        let wait = wgpu::PollType::Wait {
            submission_index: None,
            timeout: Some(RENDER_TIMEOUT),
        };
        device
            .poll(wait)
            .map_err(|e| format!("the driver does not draw: {e}"))?;
        let mapped = receiver.try_recv().map_err(|e| e.to_string())?;
        mapped.map_err(|e| format!("the picture cannot be read: {e}"))?;
        let data = buffer
            .slice(..)
            .get_mapped_range()
            .map_err(|e| e.to_string())?;
        let bytes: Vec<u8> = data
            .chunks(padded as usize)
            .flat_map(|line| line[..row as usize].iter().copied())
            .collect();
        let mut picture =
            RgbaImage::from_raw(width, height, bytes).ok_or("the picture has another size")?;
        let swapped = [
            wgpu::TextureFormat::Bgra8Unorm,
            wgpu::TextureFormat::Bgra8UnormSrgb,
        ];
        if swapped.contains(&self.state.target_format) {
            picture.pixels_mut().for_each(|pixel| pixel.0.swap(0, 2));
        }
        picture.pixels_mut().for_each(|pixel| pixel.0[3] = 255);
        Ok(picture)
    }
}
