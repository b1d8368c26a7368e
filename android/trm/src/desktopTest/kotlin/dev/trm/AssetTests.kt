package dev.trm

import android.content.res.AssetFileDescriptor
import android.content.res.AssetManager
import java.io.File
import java.io.FileInputStream
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlinx.coroutines.runBlocking

/** Assets.kt over stand-ins of Android's classes: `stubs/`. */
class AssetTests {
    /** As in an app's package: somewhere inside a file. */
    @Test
    fun aStoredAsset() = runBlocking {
        val model = sudoku4.file.readBytes()
        val apk = File.createTempFile("trm", ".apk").apply { deleteOnExit(); writeBytes(ByteArray(5_003) + model + ByteArray(100)) }
        val asset = AssetFileDescriptor(FileInputStream(apk), 5_003, model.size.toLong())
        TrmSolver.fromAsset(AssetManager(mapOf("sudoku.safetensors" to asset), mapOf()), "sudoku.safetensors").use {
            assertTrue(asset.closed)
            assertEquals(SUDOKU_4_SOLUTION, it.solve(sudoku4.puzzle).text)
        }
    }

    @Test
    fun assetsThatCannotBeMapped() {
        val assets = AssetManager(mapOf(), mapOf("packed.safetensors" to byteArrayOf(1)))
        assertThrows<TrmException.File>("noCompress += \"safetensors\"") { TrmSolver.fromAsset(assets, "packed.safetensors") }
        assertThrows<TrmException.File>("asset gone.safetensors: gone") { TrmSolver.fromAsset(assets, "gone.safetensors") }
    }
}
