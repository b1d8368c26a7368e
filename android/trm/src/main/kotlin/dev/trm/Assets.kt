package dev.trm

import android.content.res.AssetManager
import java.io.FileInputStream
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel

/**
 * Opens a model from the app's assets. The asset is memory-mapped, not copied.
 *
 * The asset must be stored uncompressed. In the app's build file:
 *
 * ```
 * android { androidResources { noCompress += "safetensors" } }
 * ```
 *
 * @param assets `context.assets`.
 * @param name The asset's name, for example "sudoku-9x9.safetensors".
 * @param options How to solve.
 * @throws TrmException if the asset, the model or an option is not valid.
 */
public fun TrmSolver.Companion.fromAsset(
    assets: AssetManager, name: String, options: TrmOptions = TrmOptions(),
): TrmSolver = fromBytes(mapAsset(assets, name), options)

private fun mapAsset(assets: AssetManager, name: String): ByteBuffer = try {
    assets.openFd(name).use { asset ->
        // Not createInputStream(): its channel starts at the asset on some versions of Android and
        // at the start of the file on others.
        val channel = FileInputStream(asset.fileDescriptor).channel
        channel.map(FileChannel.MapMode.READ_ONLY, asset.startOffset, asset.length)
    }
} catch (e: IOException) {
    // An asset that can be read but has no file descriptor is compressed.
    val isCompressed = try {
        assets.open(name).close()
        true
    } catch (_: IOException) {
        false
    }
    val fix = "add androidResources { noCompress += \"safetensors\" } to the app's build file"
    val reason = if (isCompressed) "it is compressed: $fix" else "${e.message}"
    throw TrmException.File("asset $name: $reason")
}
