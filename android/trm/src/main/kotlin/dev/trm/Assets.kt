package dev.trm

import android.content.res.AssetManager
import java.io.FileInputStream
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel

/**
 * Opens a model among the app's assets, as [TrmSolver.fromBytes] does: it is mapped and lent, not copied.
 *
 * The asset must not be compressed. In the build file of the app:
 *
 * ```
 * android { androidResources { noCompress += "safetensors" } }
 * ```
 *
 * @param assets `context.assets`.
 * @param name As "sudoku-9x9.safetensors".
 * @param options How to solve.
 * @throws TrmException What is wrong with the asset, the model or an option.
 */
public fun TrmSolver.Companion.fromAsset(assets: AssetManager, name: String, options: TrmOptions = TrmOptions()): TrmSolver =
    fromBytes(mapped(assets, name), options)

private fun mapped(assets: AssetManager, name: String): ByteBuffer = try {
    assets.openFd(name).use { asset ->
        // Not createInputStream(): the channel of that counts from the asset's start on some versions of Android, and on others not.
        FileInputStream(asset.fileDescriptor).channel.map(FileChannel.MapMode.READ_ONLY, asset.startOffset, asset.length)
    }
} catch (e: IOException) {
    // One that can be read but has no place in a file is compressed.
    val isThere = try {
        assets.open(name).close()
        true
    } catch (_: IOException) {
        false
    }
    val why = if (isThere) "it is compressed: add androidResources { noCompress += \"safetensors\" } to the app's build file" else "${e.message}"
    throw TrmException.File("asset $name: $why")
}
